"""What outweighs the refusal of a request: that its caller may not call at all, or that what it names is missing."""

from __future__ import annotations

from google.protobuf.message import Message
from google.rpc import code_pb2

from jobyard_server.transcoding.backend import Backend, RequestRefused, RpcFailure
from jobyard_server.transcoding.binding import NO_CONTENT
from jobyard_server.transcoding.operation import Operation
from jobyard_server.transcoding.requests import Request


async def unadmitted(refusal: RequestRefused, operation: Operation, request: Request, backend: Backend) -> Exception:
    """Give what keeps a caller from the method, where something does; else the refusal that came before it."""

    async def decode() -> Message:
        raise refusal

    try:
        await backend.unary(operation.call(request), decode)
    except Exception as told:  # noqa: BLE001 - whatever it is, it is answered where the refusal would have been
        return told
    return refusal


async def outweighed(
    error: Exception, operation: Operation, request: Request, segments: list[str], backend: Backend
) -> Exception:
    """Give the failure of the method that shows the thing, where it finds nothing; else the error as it is.

    A caller who may not see the thing learns no more than before.
    """
    shown = operation.shown_by
    if shown is None or not _is_refusal(error):
        return error

    async def decode() -> Message:
        return shown.binder.bind(segments, "", request.headers, NO_CONTENT)

    try:
        await backend.unary(shown.call(request), decode)
    except RpcFailure as failure:
        return failure if failure.code == code_pb2.NOT_FOUND else error
    except RequestRefused:
        return error
    except Exception as bug:  # noqa: BLE001 - it is logged and answered like one of the method itself
        return bug
    return error


def _is_refusal(error: Exception) -> bool:
    return isinstance(error, RequestRefused) or (
        isinstance(error, RpcFailure) and error.code == code_pb2.INVALID_ARGUMENT
    )
