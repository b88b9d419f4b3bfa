"""Names of protobuf's well-known types: the messages whose JSON is not an object of their fields."""

PACKAGE = "google.protobuf."
ANY = PACKAGE + "Any"
DURATION = PACKAGE + "Duration"
LIST = PACKAGE + "ListValue"
MASK = PACKAGE + "FieldMask"
NULL_VALUE = PACKAGE + "NullValue"
STATUS = "google.rpc.Status"
STRUCT = PACKAGE + "Struct"
TIMESTAMP = PACKAGE + "Timestamp"
VALUE = PACKAGE + "Value"
WRAPPERS = frozenset(
    PACKAGE + kind + "Value"
    for kind in ("Bool", "Bytes", "Double", "Float", "Int32", "Int64", "String", "UInt32", "UInt64")
)
OWN_FORM = WRAPPERS | {ANY, DURATION, LIST, MASK, STRUCT, TIMESTAMP, VALUE}
