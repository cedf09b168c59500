"""Carries out `Optimize`: open, read, judge, train, judge again, and only then write."""

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from deploy.core.factory.conversion.words import SAMPLES_ADVISED
from deploy.core.factory.evaluation import statistics
from deploy.core.factory.training.supervised import Lesson, Taught, Wanted
from deploy.core.factory.training.words import Optimize, Optimized, Technique
from deploy.core.factory.words import Progress
from deploy.core.refusal import Refused
from deploy.factory.sources import older_keras
from deploy.factory.sources.older_keras import Opened
from deploy.factory.training import fitting, lessons, toolkit
from deploy.factory.training.fitting import Fitting
from deploy.ports.factory import OnProgress


def carry_out(order: Optimize, tell: OnProgress) -> Optimized:
    """
    Raises:
        Refused: it cannot be done as ordered; nothing was written.
    """
    tf_keras.utils.set_random_seed(order.seed)
    tell(Progress(what="opening the model"))
    opened = older_keras.load(Path(order.source.place))
    lesson = lessons.read(order, _wanted(opened.model), tell)
    tell(Progress(what="judging the model as it is"))
    before = fitting.right(opened.model, lesson.held_out)
    doing = Fitting(order, lesson.training, fitting.gives_logits(opened.model), tell)
    made = toolkit.apply(opened.model, doing)
    tell(Progress(what="judging the result"))
    after = fitting.right(made, lesson.held_out)
    _write(order, opened, made, lesson)
    return Optimized(
        toolkit=toolkit.NAME,
        training=len(lesson.training.labels),
        held_out=len(before),
        right_before=int(before.sum()),
        right_after=int(after.sum()),
        only_before=int((before & ~after).sum()),
        only_after=int((after & ~before).sum()),
        layers=toolkit.weights(made),
        remarks=(*lesson.remarks, *_untrained(int(before.sum()), lesson.held_out)),
    )


def _wanted(model: Any) -> Wanted:
    taken, given = model.inputs[0], model.outputs[0]
    if len(given.shape) != 2 or given.shape[1] is None or given.shape[1] < 2:
        said = " x ".join("any" if size is None else str(size) for size in given.shape[1:])
        raise Refused(
            f"the model gives {said or 'one number'} for a sample: a classifier gives a number for each of "
            "at least 2 classes, and others cannot be optimized here"
        )
    return Wanted(tuple(-1 if size is None else int(size) for size in taken.shape[1:]), int(given.shape[1]))


def _untrained(right: int, judged: Taught) -> tuple[str, ...]:
    """A remark where naming the most frequent class always would have done as well."""
    of = len(judged.labels)
    if statistics.wilson(right, of).low * of > np.bincount(judged.labels).max():
        return ()
    said = f"the model as it was named {right} of {of} samples rightly, hardly more than by guessing"
    return (f"{said}: are classes and scaling (--mean, --std) those that it was trained with?",)


def _write(order: Optimize, opened: Opened, made: Any, lesson: Lesson) -> None:
    quantized = Technique.QAT in order.techniques
    if quantized:
        made.save(order.out, include_optimizer=False)
    else:
        opened.save(made, Path(order.out))
    Path(order.before).write_bytes(_tflite(opened.model, []))
    Path(order.after).write_bytes(_tflite(made, [tf.lite.Optimize.DEFAULT] if quantized else []))
    count = len(lesson.training.labels)
    chosen = np.linspace(0, count - 1, min(count, SAMPLES_ADVISED[0])).astype(np.int64)
    np.savez(order.samples, x=lesson.training.batch(chosen))


def _tflite(model: Any, optimizations: list[Any]) -> bytes:
    """In float, or as quantization-aware training left it."""
    shape = (1, *model.inputs[0].shape[1:])
    traced = tf.function(
        lambda inputs: model(inputs, training=False),
        input_signature=[tf.TensorSpec(shape, model.inputs[0].dtype)],
        autograph=False,
    )
    converter = tf.lite.TFLiteConverter.from_concrete_functions([traced.get_concrete_function()], model)
    converter.optimizations = optimizations
    return bytes(converter.convert())
