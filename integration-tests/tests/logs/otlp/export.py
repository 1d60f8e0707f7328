"""Logs with OpenTelemetry's own SDK: export.py ENDPOINT COUNT.

Prints what the records have in common, as JSON, once all of them are exported.
"""

import json
import sys
import time

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context
from grpc import Compression

SEVERITIES = [
    (SeverityNumber.DEBUG, "DEBUG"),
    (SeverityNumber.INFO, "INFO"),
    (SeverityNumber.WARN, "WARN"),
    (SeverityNumber.ERROR2, "SEVERE"),
]

endpoint, count = sys.argv[1], int(sys.argv[2])
resource = Resource.create({"service.name": "python-shop", "service.instance.id": "py-1", "host.name": "anvil"})
provider = LoggerProvider(resource=resource)
exporter = OTLPLogExporter(endpoint=endpoint, insecure=True, compression=Compression.Gzip)
provider.add_log_record_processor(BatchLogRecordProcessor(exporter, schedule_delay_millis=100))
logger = provider.get_logger("shop.cart", "1.2.3")

trace_id, span_id = 0xABCD0000000000000000000000000001, 0xABCD000000000002
span = NonRecordingSpan(SpanContext(trace_id, span_id, False, TraceFlags(TraceFlags.SAMPLED)))
context = set_span_in_context(span)
for number in range(count):
    severity, text = SEVERITIES[number % len(SEVERITIES)]
    logger.emit(
        LogRecord(
            timestamp=time.time_ns(),
            context=context,
            severity_number=severity,
            severity_text=text,
            body=f"sold item {number}" if number else {"sold": [1, 2.5, "three"]},
            attributes={
                "item.number": number,
                "item.price": number / 4,
                "item.new": number % 2 == 0,
                "item.tags": ["a", "b"],
                "log.record.uid": f"uid-{number}",
            },
            event_name="item.sold",
        )
    )
    # Not all of them fit the SDK's queue at once: it drops what does not.
    if number % 500 == 499:
        assert provider.force_flush(), "they were not taken"
assert provider.force_flush(), "they were not taken"
provider.shutdown()
print(json.dumps({"trace_id": f"{trace_id:032x}", "span_id": f"{span_id:016x}"}))
