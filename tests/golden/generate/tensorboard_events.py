#!/usr/bin/env python3
"""Writes tests/golden/events/{fresh,resumed,rollback}.tfevents with TensorBoard's own writer and
protobuf messages; tests/unit/test_tensorboard_log.c must write the same bytes without Python.

    python -m venv v && v/bin/pip install tensorboard==2.21.0 protobuf==7.36.2
    v/bin/python tests/golden/generate/tensorboard_events.py     # from the top of the repository

Then TensorBoard's reader goes through them, as `tensorboard --logdir` would: after the resumed file's
session mark, what the first one says of later steps must be gone.
"""
import pathlib
import shutil
import tempfile

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

OUT = pathlib.Path("tests/golden/events")
START = 1700000000.25  # the test's clock: one second later at every event


class Log:
    def __init__(self, name):
        self.path = OUT / name
        self.writer = RecordWriter(open(self.path, "wb"))
        self.clock = START
        self.add(file_version="brain.Event:2")

    def add(self, **fields):
        self.writer.write(Event(wall_time=self.clock, **fields).SerializeToString(deterministic=True))
        self.clock += 1

    def scalars(self, step, **values):
        tags = [("eval/" + k[5:] if k.startswith("eval_") else "train/" + k, v) for k, v in values.items()]
        self.add(step=step, summary=Summary(value=[Summary.Value(tag=t, simple_value=v) for t, v in tags]))


def training(step):
    return dict(epoch=step / 4, loss=3.5 - step / 8, loss_ce=4.25, loss_kd=step * 1e-3, grad_norm=1.0 / 3,
                learning_rate=5e-5 / step, tokens=step * 1000, trained_tokens=step * 900,
                tokens_per_second=123.456, skipped_steps=0)


fresh = Log("fresh.tfevents")
for step in (1, 2, 300):
    fresh.scalars(step, **training(step))
fresh.scalars(300, epoch=75.0, eval_loss=2.5, eval_ce=2.75, eval_perplexity=15.642632, eval_kl=0.125,
              eval_reverse_kl=0.25, eval_agreement=0.75, eval_accuracy=0.5)
fresh.writer.close()

resumed = Log("resumed.tfevents")
resumed.add(step=3, session_log=SessionLog(status=SessionLog.START))
resumed.scalars(3, **training(3))
resumed.writer.close()

# A rollback: steps 2 and 3 come again.
again = Log("rollback.tfevents")
again.scalars(2, **training(2))
again.scalars(2, epoch=0.5, eval_ce=2.75)
again.scalars(3, **training(3))
again.add(step=2, session_log=SessionLog(status=SessionLog.START))
again.scalars(2, **training(2))
again.scalars(2, epoch=0.5, eval_ce=2.5)
again.scalars(3, **training(3))
again.writer.close()

with tempfile.TemporaryDirectory() as folder:
    shutil.copy(again.path, f"{folder}/events.out.tfevents.1700000000.limbeck")
    events = EventAccumulator(folder).Reload()
    assert [e.step for e in events.Scalars("train/loss")] == [2, 3]
    assert [e.value for e in events.Scalars("eval/ce")] == [2.5]
with tempfile.TemporaryDirectory() as folder:
    for i, log in enumerate((fresh, resumed)):
        shutil.copy(log.path, f"{folder}/events.out.tfevents.170000000{i}.limbeck")
    events = EventAccumulator(folder).Reload()
    assert [e.step for e in events.Scalars("train/loss")] == [1, 2, 3], events.Scalars("train/loss")
    assert events.Scalars("train/loss")[1].value == 3.25
print("written and read")
