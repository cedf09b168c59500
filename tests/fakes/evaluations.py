"""What `shoal evaluate` could have written about a file."""

from agent.wire.documents import Fit
from agent.wire.topics import sha256
from deploy.core.factory.evaluation.document import (
    Accuracy,
    Beside,
    Evaluation,
    Latency,
    Model,
    ModelSaid,
    Rate,
    Report,
)

RATE = Rate(count=9, of=10, share=0.9, low=0.6, high=0.98)


def evaluated(content: bytes, file: str = "x.tflite", beside: Beside | None = None) -> Model:
    said = ModelSaid(
        file=file,
        digest=sha256(content),
        length=len(content),
        pulled=9,
        arithmetic="integer",
        runtime="ai-edge-litert 2.3.0",
        delegate="cpu",
        threads=1,
        fit=Fit.CENTRE_CROP,
    )
    accuracy = Accuracy(
        top1=RATE,
        top5=RATE,
        calibration_error=0.0123456789,
        brier=0.2,
        classes=(),
        confused=(),
        reliability=(),
    )
    found = Evaluation(
        tool="shoal 1",
        data=sha256(b"data"),
        pictures=10,
        model=said,
        accuracy=accuracy,
        confidence_mean=0.5,
        not_finite=0,
        beside=beside,
    )
    latency = Latency(invoke_p50_ms=1.0, invoke_p95_ms=2.0, whole_p50_ms=3.0, whole_p95_ms=4.0)
    return Model(evaluation=found, latency=latency)


def report(*models: Model) -> Report:
    return Report(models=models, reference=None, pairs=())
