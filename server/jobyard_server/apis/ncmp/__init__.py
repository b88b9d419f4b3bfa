"""NCMP data jobs: jobs on the configuration of a network, split by data producer; rApp, NCMP and DMI."""

from jobyard.ncmp.v1 import face_pb2
from jobyard_server.apis.ncmp import nouns
from jobyard_server.apis.registration import Api

API = Api(
    name=nouns.API,
    services=(),
    files=(face_pb2.DESCRIPTOR,),
    words=nouns.WORDS,
    fields=nouns.FIELDS,
)
