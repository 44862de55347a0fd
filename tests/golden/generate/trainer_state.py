"""Golden trainer_state.json: tests/golden/data/trainer_state.json, read by test_golden_trainer_state.c.

What a Transformers Trainer writes into a checkpoint: a run of 6 steps on a tiny random model that logs and
evaluates. The test compares keys and types, not values.
Run: python trainer_state.py, then update tests/golden/SHA256SUMS-optimizer. Versions: requirements.txt."""
import json
import pathlib
import tempfile

import torch
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments

OUT = pathlib.Path(__file__).parent.parent / "data" / "trainer_state.json"
torch.manual_seed(0)
config = LlamaConfig(vocab_size=32, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
                     num_key_value_heads=2, max_position_embeddings=32)
rows = [{"input_ids": torch.arange(8), "labels": torch.arange(8)} for _ in range(10)]
with tempfile.TemporaryDirectory() as folder:
    args = TrainingArguments(output_dir=folder, num_train_epochs=2, per_device_train_batch_size=2,
                             gradient_accumulation_steps=2, logging_steps=2, save_steps=4, eval_strategy="steps",
                             eval_steps=3, report_to="none", use_cpu=True, warmup_steps=0.2)
    Trainer(model=LlamaForCausalLM(config), args=args, train_dataset=rows, eval_dataset=rows).train()
    state = json.loads((pathlib.Path(folder) / "checkpoint-4" / "trainer_state.json").read_text())
for entry in state["log_history"]:  # times, which differ from run to run
    for key in entry:
        if key.endswith(("_runtime", "_per_second")):
            entry[key] = 1.5
OUT.write_text(json.dumps(state, indent=2, sort_keys=True) + "\n")
print(OUT)
