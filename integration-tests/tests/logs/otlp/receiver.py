"""A receiver of OTLP that is not ours: receiver.py PORT FILE [REFUSE] [LOSE].

Writes each record as a line of JSON. The first REFUSE calls are answered with
UNAVAILABLE and not written; of the others each LOSE-th is written and answered
with UNAVAILABLE all the same, as if the answer had been lost on its way.
"""

import json
import os
import sys
import threading
from concurrent import futures

import grpc
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2, logs_service_pb2_grpc

port, path = int(sys.argv[1]), sys.argv[2]
refuse = int(sys.argv[3]) if len(sys.argv) > 3 else 0
lose = int(sys.argv[4]) if len(sys.argv) > 4 else 0


def value(any_value):
    which = any_value.WhichOneof("value")
    return getattr(any_value, which) if which in ("string_value", "int_value", "double_value", "bool_value") else which


def attributes(pairs):
    return {pair.key: value(pair.value) for pair in pairs}


class Receiver(logs_service_pb2_grpc.LogsServiceServicer):
    def __init__(self):
        self.calls = 0
        self.lock = threading.Lock()
        self.file = open(path, "a", encoding="utf-8")

    def Export(self, request, context):
        with self.lock:
            self.calls += 1
            if self.calls <= refuse:
                context.abort(grpc.StatusCode.UNAVAILABLE, "not yet")
            self.write(request)
            if lose and self.calls % lose == 0:
                context.abort(grpc.StatusCode.UNAVAILABLE, "the answer was lost")
        return logs_service_pb2.ExportLogsServiceResponse()

    def write(self, request):
        for logs in request.resource_logs:
            resource = attributes(logs.resource.attributes)
            for scope in logs.scope_logs:
                for record in scope.log_records:
                    line = {
                        "service": resource.get("service.name"),
                        "instance": resource.get("service.instance.id"),
                        "scope": scope.scope.name,
                        "severity": record.severity_number,
                        "body": value(record.body),
                        "trace_id": record.trace_id.hex(),
                        "attributes": attributes(record.attributes),
                    }
                    self.file.write(json.dumps(line) + "\n")
        self.file.flush()
        os.fsync(self.file.fileno())


server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
logs_service_pb2_grpc.add_LogsServiceServicer_to_server(Receiver(), server)
server.add_insecure_port(f"127.0.0.1:{port}")
server.start()
print("serving", flush=True)
# However the test ends, the pipe closes.
sys.stdin.read()
server.stop(None)
