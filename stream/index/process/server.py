"""The process that owns the Qdrant Edge shards, of images and of objects, and answers `remote`.

Edge holds the GIL in every call: nobody else who must answer or heartbeat lives in this process. optimize() is never
called: it would answer nobody for minutes.
"""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import grpc

from models.errors import ConfigurationError, MekikiError
from stream.index.contract import VectorIndex
from stream.index.objects import ObjectIndex
from stream.index.process.wire import CALLS, MESSAGE_LIMITS, OBJECTS_CALLS, OBJECTS_SERVICE, SERVICE, pack, unpack

log = logging.getLogger(__name__)

SERVICES = ((SERVICE, CALLS), (OBJECTS_SERVICE, OBJECTS_CALLS))
FLUSH_INTERVAL_S = 5.0  # as the server does; a flush waits for the disk, and writes wait for it


class IndexServer:
    """Serves two indexes until `stop`."""

    def __init__(self, index: VectorIndex, address: str, objects: ObjectIndex | None = None) -> None:
        self._parts: list[VectorIndex | ObjectIndex] = [index, *([] if objects is None else [objects])]
        self._unflushed = threading.Event()  # set by any thread that wrote, cleared by the one that flushes
        self._stopping = threading.Event()
        options = [*MESSAGE_LIMITS, ("grpc.so_reuseport", 0)]
        self._server = grpc.server(ThreadPoolExecutor(max_workers=8), options=options)
        for part, (service, calls) in zip(self._parts, SERVICES, strict=False):
            handlers = {call: grpc.unary_unary_rpc_method_handler(self._handler(part, call)) for call in calls}
            self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
        try:
            self.port = self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise ConfigurationError(f"address {address}: busy or not ours; choose another port") from error

    def serve(self) -> None:
        """Answer until `stop` was called, then flush and close."""
        self._server.start()
        while not self._stopping.wait(FLUSH_INTERVAL_S):
            try:
                if self._unflushed.is_set():
                    self._unflushed.clear()
                    for part in self._parts:
                        part.flush()
            except MekikiError as error:
                log.error("%s", error)
        self._server.stop(grace=5).wait()
        for part in self._parts:
            part.close()

    def stop(self) -> None:
        """Ask `serve` to end; safe in a signal handler."""
        self._stopping.set()

    def _handler(self, part: VectorIndex | ObjectIndex, call: str) -> Callable[[bytes, grpc.ServicerContext], bytes]:
        method = getattr(part, call)

        def answer(message: bytes, context: grpc.ServicerContext) -> bytes:
            arguments, options = unpack(message)
            try:
                result = method(*arguments, **options)
            except (MekikiError, ValueError) as error:
                return pack([type(error).__name__, str(error)])
            if call == "write":
                self._unflushed.set()
            by_id = isinstance(result, dict)  # goes as a list: an id may be any text, a word of the wire too
            return pack([None, list(result.values()) if by_id else result])

        return answer
