/* chat_builtin.c - templates by name, for models that come without one. Written for Limbeck from
 * the formats' documentation; each marks what the assistant writes with {% generation %}, so that
 * training masks come for free. Adding one: a row here, a case in test_chat_open.c. */
#include <limbeck/chat.h>

#include <string.h>

/* The reply of the assistant with its end token: what a student learns to write. */
#define REPLY(text) "{% generation %}{{ " text " }}{% endgeneration %}"

#define SYSTEM_FIRST                                                                               \
  "{% set system = messages[0].content if messages and messages[0].role == 'system' else '' %}"    \
  "{% set rest = messages[1:] if system else messages %}"

/* Without a place for the system message it is put before the first user message. */
#define ALTERNATE                                                                                  \
  "{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"                                          \
  "{{ raise_exception('roles must alternate user, assistant, user, ...') }}{% endif %}"

static const struct {
  const char *name, *source;
} builtins[] = {
    {"chatml",
     "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' }}"
     "{% if m.role == 'assistant' %}" REPLY(
         "(m.content or '') + '<|im_end|>'") "{% else %}{{ (m.content or '') + '<|im_end|>' }}{% "
                                             "endif %}{{ '\\n' }}{% endfor %}"
                                             "{% if add_generation_prompt %}{{ "
                                             "'<|im_start|>assistant\\n' }}{% endif %}"},
    {"llama2", SYSTEM_FIRST
     "{% for m in rest %}" ALTERNATE
     "{% set text = '<<SYS>>\\n' + system + '\\n<</SYS>>\\n\\n' + m.content "
     "if loop.first and system else m.content %}"
     "{% if m.role == 'user' %}{{ bos_token + '[INST] ' + text.strip() + ' [/INST]' }}"
     "{% else %}" REPLY("' ' + text.strip() + ' ' + eos_token") "{% endif %}{% endfor %}"},
    {"llama3", "{{ bos_token }}{% for m in messages %}"
               "{{ '<|start_header_id|>' + m.role + '<|end_header_id|>\\n\\n' }}"
               "{% if m.role == 'assistant' %}" REPLY(
                   "m.content | trim + '<|eot_id|>'") "{% else %}{{ m.content | trim + "
                                                      "'<|eot_id|>' }}{% endif %}{% endfor %}"
                                                      "{% if add_generation_prompt %}"
                                                      "{{ "
                                                      "'<|start_header_id|>assistant<|end_header_"
                                                      "id|>\\n\\n' }}{% endif %}"},
    {"mistral",
     "{{ bos_token }}" SYSTEM_FIRST "{% for m in rest %}" ALTERNATE "{% if m.role == 'user' %}"
     "{{ '[INST] ' + (system + '\\n\\n' if loop.last and system else '') + m.content + '[/INST]' }}"
     "{% else %}" REPLY("' ' + m.content | trim + eos_token") "{% endif %}{% endfor %}"},
    {"gemma",
     "{{ bos_token }}" SYSTEM_FIRST "{% for m in rest %}" ALTERNATE
     "{{ '<start_of_turn>' + ('model' if m.role == 'assistant' else m.role) + '\\n' }}"
     "{{ system + '\\n\\n' if loop.first and system }}"
     "{% if m.role == 'assistant' %}" REPLY(
         "m.content | trim + '<end_of_turn>'") "{% else %}{{ m.content | trim + '<end_of_turn>' "
                                               "}}{% endif %}{{ '\\n' }}{% endfor %}"
                                               "{% if add_generation_prompt %}{{ "
                                               "'<start_of_turn>model\\n' }}{% endif %}"},
    {"zephyr", "{% for m in messages %}{{ '<|' + m.role + '|>\\n' }}"
               "{% if m.role == 'assistant' %}" REPLY(
                   "m.content + eos_token") "{% else %}{{ m.content + eos_token }}{% endif %}{{ "
                                            "'\\n' }}{% endfor %}"
                                            "{% if add_generation_prompt %}{{ '<|assistant|>\\n' "
                                            "}}{% endif %}"},
    {"vicuna",
     "{{ bos_token }}" SYSTEM_FIRST
     "{{ system or 'A chat between a curious user and an artificial intelligence assistant. "
     "The assistant gives helpful, detailed, and polite answers to the user\\'s questions.' }}"
     "{% for m in rest %}{% if m.role == 'user' %}{{ ' USER: ' + m.content.strip() }}"
     "{% else %}{{ ' ASSISTANT:' }}" REPLY(
         "' ' + m.content.strip() + eos_token") "{% endif %}{% endfor %}{% if "
                                                "add_generation_prompt %}{{ ' ASSISTANT:' }}{% "
                                                "endif %}"},
    {"deepseek", "{{ bos_token }}" SYSTEM_FIRST "{{ system }}{% for m in rest %}"
                 "{% if m.role == 'user' %}{{ '<｜User｜>' + m.content }}"
                 "{% else %}{{ '<｜Assistant｜>' }}" REPLY(
                     "m.content + '<｜end▁of▁sentence｜>'") "{% endif %}{% endfor %}{% if "
                                                            "add_generation_prompt %}{{ "
                                                            "'<｜Assistant｜>' }}{% endif %}"},
    {"qwen",
     "{% if not messages or messages[0].role != 'system' %}"
     "{{ '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}{% endif %}"
     "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' }}"
     "{% if m.role == 'assistant' %}" REPLY(
         "(m.content or '') + '<|im_end|>'") "{% else %}{{ (m.content or '') + '<|im_end|>' }}{% "
                                             "endif %}{{ '\\n' }}{% endfor %}"
                                             "{% if add_generation_prompt %}{{ "
                                             "'<|im_start|>assistant\\n' }}{% endif %}"},
    {"phi3", "{% for m in messages %}{{ '<|' + m.role + '|>\\n' }}"
             "{% if m.role == 'assistant' %}" REPLY(
                 "m.content + '<|end|>'") "{% else %}{{ m.content + '<|end|>' }}{% endif %}{{ "
                                          "'\\n' }}{% endfor %}"
                                          "{% if add_generation_prompt %}{{ '<|assistant|>\\n' "
                                          "}}{% endif %}"},
    {"alpaca", SYSTEM_FIRST
     "{{ system or 'Below is an instruction that describes a task. Write a response that "
     "appropriately completes the request.' }}{{ '\\n\\n' }}{% for m in rest %}"
     "{% if m.role == 'user' %}{{ '### Instruction:\\n' + m.content.strip() + '\\n\\n' }}"
     "{% else %}{{ '### Response:\\n' }}" REPLY(
         "m.content.strip() + eos_token") "{{ '\\n\\n' }}{% endif %}{% endfor %}"
                                          "{% if add_generation_prompt %}{{ '### Response:\\n' "
                                          "}}{% endif %}"},
};

const char *lb_chat_template_builtin(const char *name) {
  for (size_t i = 0; i < sizeof builtins / sizeof *builtins; i++)
    if (strcmp(builtins[i].name, name) == 0) return builtins[i].source;
  return NULL;
}

const char *lb_chat_template_builtin_name(size_t i) {
  return i < sizeof builtins / sizeof *builtins ? builtins[i].name : NULL;
}
