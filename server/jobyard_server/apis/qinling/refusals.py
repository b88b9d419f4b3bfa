"""Why requests of this API are refused, in the words that its clients know."""

from __future__ import annotations

from jobyard_server.domain.reason import Reason, Refused, Violation, refuse

__all__ = [
    "Refused",
    "alias_unknown",
    "function_unknown",
    "in_use",
    "job_unknown",
    "missing_argument",
    "no_job",
    "no_uuid",
    "no_uuid_in_path",
    "not_allowed",
    "not_now",
    "runtime_unknown",
    "version_unknown",
    "webhook_unknown",
    "wrong",
]


def wrong(field: str, sentence: str) -> Refused:
    """A field that breaks a rule; the sentence is all that clients over REST are told."""
    return refuse(Reason.REQUEST_INVALID, f"{field}: {sentence}", Violation(field, sentence))


def no_uuid(text: str) -> Refused:
    """A text where a UUID belongs."""
    return wrong("id", f"Expected a uuid but received {text}.")


def no_uuid_in_path(field: str, text: str, problem: str) -> Refused:
    """The same in a path."""
    prefix = f"Invalid input for field/attribute {field}. Value: '{text}'."
    return wrong(field, f"{prefix} unable to convert to uuid. Error: {problem}")


def no_job(id_: str) -> Refused:
    """A job posted to where jobs are read."""
    return wrong("job", f"Invalid input for field/attribute job. Value: '{id_}'. unable to convert to Job.")


def missing_argument(name: str) -> Refused:
    """A path without what it should name."""
    return wrong(name, f'Missing argument: "{name}"')


def job_unknown(id_: str, noun: str = "Job") -> Refused:
    """No such job, or execution."""
    return refuse(Reason.JOB_NOT_FOUND, f"There is no {noun.lower()} {id_}.", job=id_, noun=noun)


def function_unknown(id_: str) -> Refused:
    """No such function."""
    return refuse(Reason.DEFINITION_NOT_FOUND, f"There is no function {id_}.", definition=id_)


def version_unknown(function: str, number: int) -> Refused:
    """No such version of a function that exists."""
    text = f"Function {function} has no version {number}."
    return refuse(Reason.DEFINITION_REFERENCE_UNKNOWN, text, definition=function, version=str(number))


def alias_unknown(name: str) -> Refused:
    """No such alias."""
    text = f"There is no alias {name!r}."
    return refuse(Reason.RECORD_NOT_FOUND, text, record=name, noun="FunctionAlias", key="name")


def webhook_unknown(id_: str) -> Refused:
    """No such webhook."""
    return refuse(Reason.RECORD_NOT_FOUND, f"There is no webhook {id_}.", record=id_, noun="Webhook", key="id")


def runtime_unknown(id_: str) -> Refused:
    """No such runtime."""
    return refuse(Reason.EXECUTOR_NOT_FOUND, f"There is no runtime {id_}.", executor=id_)


def in_use(sentence: str) -> Refused:
    """Something depends on it."""
    return refuse(Reason.IN_USE, sentence)


def not_now(sentence: str) -> Refused:
    """The state of things does not allow it."""
    return refuse(Reason.STATE_CONFLICT, sentence)


def not_allowed(permission: str) -> Refused:
    """Only for administrators."""
    return refuse(Reason.PERMISSION_MISSING, f"This needs the permission {permission}.", permission=permission)
