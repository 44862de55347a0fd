"""Small templates, one language feature each, for chat_templates.py. All see VARIABLES."""

VARIABLES = {
    "messages": [{"role": "user", "content": "Hi <b>"}, {"role": "assistant", "content": " yo "}],
    "s": "Hello World", "padded": "  \t x y \n", "empty": "", "uni": "Straße ΑΣ éÀ 日本", "n": 7, "neg": -7,
    "f": 2.5, "big": 9007199254740993, "t": True, "no": False, "nul": None, "l": [3, 1, 2], "e": [],
    "words": ["banana", "Apple", "cherry", "apple"], "d": {"b": 1, "a": [1, 2], "C": None}, "ed": {},
    "rows": [{"n": "x", "v": 3, "in": {"k": 1}}, {"n": "Y", "v": 1, "in": {"k": 2}}, {"n": "z", "v": 2}],
    "schema": {"items": {"type": "string"}, "keys": 3, "get": "g"}, "nest": [[1, [2, 3]], {"x": {"y": "z"}}],
    "quote": "it's \"q\"", "ctl": "a\u0001\u007f\u00a0\u200b\U0001F600", "html": "<a href='x'>&\"</a>",
    "lines": "one\ntwo\r\nthree\n\nfive", "floats": [0.1, 1e16, 1e-5, 1.0, 123456789.125, 1e22, 0.0001, -0.0, 5e-324],
}

SNIPPETS = r'''
plain text
{{ s }}
{{ s }}|{{ n }}|{{ f }}|{{ t }}|{{ no }}|{{ nul }}|{{ l }}|{{ d }}|{{ e }}|{{ ed }}
{{ missing }}|{{ missing is defined }}|{{ s is defined }}
{{ missing.x }}
{{ d.missing }}|{{ d.missing is undefined }}
{{ d.missing.more }}
{{ nul.x is undefined }}
{{ l[10] is undefined }}|{{ l[-1] }}|{{ l[0] }}
{{ s[0] }}{{ s[-1] }}{{ s[100] }}|
{{ uni[4] }}{{ uni[-1] }}{{ uni | length }}
{{ floats }}
{{ floats | tojson }}
{{ 1 + 2 * 3 - 4 / 2 }}|{{ 7 // 2 }}|{{ -7 // 2 }}|{{ 7 % 3 }}|{{ -7 % 3 }}|{{ 7 % -3 }}|{{ 2 ** 10 }}|{{ 2 ** -1 }}
{{ 7.5 // 2 }}|{{ -7.5 % 2 }}|{{ 7.5 % -2 }}|{{ 1e3 }}|{{ 1_000 }}|{{ 1.5e-3 }}
{{ -2 ** 2 }}|{{ 2 ** 3 ** 2 }}|{{ (-2) ** 2 }}
{{ 1 / 0 }}
{{ n // 0 }}
{{ n % 0 }}
{{ 1 < 2 < 3 }}|{{ 3 > 2 > 2 }}|{{ 1 == 1.0 }}|{{ true == 1 }}|{{ "1" == 1 }}
{{ "a" < "b" }}|{{ [1,2] < [1,3] }}|{{ (1,) < (1,2) }}
{{ 1 < "a" }}
{{ missing < 1 }}
{{ missing == missing }}|{{ missing == nul }}|{{ missing != 1 }}
{{ "ell" in s }}|{{ "x" not in s }}|{{ 3 in l }}|{{ "b" in d }}|{{ "zz" in d }}|{{ 5 in missing }}
{{ 1 in "abc" }}
{{ nul in d }}|{{ l in [[3,1,2]] }}
{{ t and n }}|{{ no and n }}|{{ no or s }}|{{ empty or nul }}|{{ not e }}|{{ not not s }}
{{ "yes" if t else "no" }}|{{ "yes" if no }}|{{ 1 if no else 2 if no else 3 }}
{{ s ~ n ~ nul ~ t ~ l }}|{{ 1 ~ 2 }}
{{ s + 1 }}
{{ 1 + s }}
{{ missing + "a" }}
{{ "a" + missing }}
{{ "a" * 3 }}|{{ 3 * "ab" }}|{{ [1] * 2 }}|{{ "a" * -1 }}
{{ l + [4] }}|{{ (1,) + (2,) }}
{{ l + (1,) }}
{{ nul + 1 }}
{{ -f }}|{{ +n }}|{{ -n | abs }}|{{ --n }}
{{ (1, "a", none) }}|{{ (1,) }}|{{ () }}|{{ 1, 2 }}|{{ [1, [2, {"k": "v"}]] }}
{{ {"a": 1, "b": [1,2], 3: 4, none: 5}}}
{{ {"a": 1}.a }}|{{ {"a": {"b": 2}}.a.b }}|{{ [1,2,3][1] }}|{{ "abc"[1] }}|{{ (1,2)[0] }}
{{ "a" "b" 'c' }}|{{ 'it''s' }}
{{ 'q\'q' }}|{{ "tab\there" }}|{{ "nl\nx" }}|{{ "\x41\u00e9\U0001F600\101\\" }}|{{ "\q\z" }}
{{ s[1:4] }}|{{ s[:-6] }}|{{ s[::-1] }}|{{ s[::2] }}|{{ s[8:2] }}|{{ s[8:2:-2] }}|{{ s[-3:] }}
{{ l[1:] }}|{{ l[:-1] }}|{{ l[::-1] }}|{{ l[::2] }}|{{ l[-100:100] }}|{{ (1,2,3)[1:] }}
{{ uni[2:8] }}|{{ uni[::-1] }}|{{ uni[::3] }}|{{ uni[-2:] }}
{{ l[::0] }}
{{ missing[1:] }}
{{ messages[1:][0].role }}|{{ messages[-1]['content'] }}|{{ messages[0]["role"] }}
{{ messages|length }}|{{ messages | map(attribute='role') | join(',') }}
{{ d.items() }}|{{ d.keys() }}|{{ d.values() }}|{{ d.items()|list }}|{{ d|items|list }}
{{ d.items()[0] is undefined }}|{{ d.items()|length }}|{{ d.keys()|first }}|{{ d.values()|last }}
{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}
{% for k, v in d|dictsort %}{{ k }}={{ v }};{% endfor %}
{% for k, v in d|dictsort(true) %}{{ k }};{% endfor %}{% for k, v in {"a":2,"b":1}|dictsort(by="value", reverse=true) %}{{ k }};{% endfor %}
{{ d.get("b") }}|{{ d.get("q") }}|{{ d.get("q", 5) }}|{{ d["b"] }}|{{ d["q"] is defined }}
{{ schema.items is mapping }}|{{ schema["items"].type }}|{{ schema.items is callable }}|{{ schema['values'] is callable }}
{{ schema.get is callable }}
{% for x in l %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.depth }}{{ loop.depth0 }};{% endfor %}
{% for x in l %}{{ loop.previtem }}<{{ x }}>{{ loop.nextitem }};{% endfor %}
{% for x in l %}{{ loop.previtem is defined }}{{ loop.nextitem is defined }}{% endfor %}
{% for x in l %}{{ loop.cycle("a","b") }}{{ loop.changed(x > 1) }}{% endfor %}
{% for x in l %}{% for y in words %}{{ loop.index }}{{ loop.depth }}{% endfor %}{{ loop.index }}{% endfor %}
{% for x in l if x > 1 %}{{ x }}{{ loop.length }}{{ loop.last }};{% endfor %}
{% for x in e %}a{% else %}none{% endfor %}|{% for x in l %}a{% else %}none{% endfor %}
{% for x in l if x > 9 %}a{% else %}none{% endfor %}
{% for c in "héy" %}[{{ c }}]{% endfor %}
{% for k in d %}{{ k }}{% endfor %}|{% for x in missing %}{% else %}u{% endfor %}
{% for x in n %}{% endfor %}
{% for x in nul %}{% endfor %}
{% for a, b in [[1,2],[3,4]] %}{{ a }}-{{ b }};{% endfor %}|{% for (a, b), c in [((1,2),3)] %}{{ a }}{{ b }}{{ c }}{% endfor %}
{% for a, b in [[1,2,3]] %}{% endfor %}
{% for x in range(3) %}{{ x }}{% endfor %}|{% for x in range(5, 0, -2) %}{{ x }}{% endfor %}|{{ range(3) }}|{{ range(2,5)|list }}|{{ range(0) | list }}
{{ range(200000) | length }}
{{ range(1, 2, 0) }}
{% for x in l %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% endfor %}
{% for x in l %}{% if x == 1 %}{% break %}{% endif %}{{ x }}{% endfor %}
{% for x in l %}{% for y in l %}{% if y == 1 %}{% break %}{% endif %}{{ y }}{% endfor %}{{ x }};{% endfor %}
{% if n > 5 %}a{% elif n > 3 %}b{% else %}c{% endif %}{% if no %}a{% elif t %}b{% else %}c{% endif %}{% if no %}a{% else %}c{% endif %}
{% set x = 5 %}{{ x }}{% set x = x + 1 %}{{ x }}
{% set a, b = 1, 2 %}{{ a }}{{ b }}|{% set c = 1, 2 %}{{ c }}
{% set x = 1 %}{% for i in l %}{% set x = x + i %}{{ x }};{% endfor %}{{ x }}
{% set x = 1 %}{% if t %}{% set x = 2 %}{% endif %}{{ x }}
{% for i in l %}{% set y = i %}{% endfor %}{{ y is defined }}
{% set ns = namespace(x=1, y="a") %}{% for i in l %}{% set ns.x = ns.x + i %}{% endfor %}{{ ns.x }}{{ ns.y }}{{ ns.z is defined }}
{% set ns = namespace() %}{% set ns.q = [1] %}{% set ns.q = ns.q + [2] %}{{ ns.q }}{{ ns['q'] }}
{% set ns = namespace({"a": 1}, b=2) %}{{ ns.a + ns.b }}
{% set d2 = dict(a=1, b=2) %}{{ d2 }}{{ dict(d2, c=3) }}{{ dict([("x", 1)]) }}
{% set q = d %}{% set q.x = 1 %}
{% set missingns.x = 1 %}
{% set x %}hello {{ n }}{% endset %}[{{ x }}]{{ x | upper }}
{% set x | upper | trim %} hello {{ n }} {% endset %}[{{ x }}]
{% filter upper %}hello {{ s }}{% endfilter %}|{% filter replace("l", "L") %}hello{% endfilter %}
{% macro m(a, b=2, c="x") %}({{ a }},{{ b }},{{ c }}){% endmacro %}{{ m(1) }}{{ m(1, 3) }}{{ m(c=9, a=8) }}{{ m() }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, b=2) }}
{% macro m(a) %}{{ a }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, 3, k=4) }}
{% macro m(a, b=a) %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}{{ m.name }}
{% macro m() %}{{ later }}{% endmacro %}{% set later = "L" %}{{ m() }}
{% macro fact(k) %}{% if k > 1 %}{{ k }}*{{ fact(k - 1) }}{% else %}1{% endif %}{% endmacro %}{{ fact(5) }}
{% macro m(x) %}<{{ caller() }}|{{ x }}>{% endmacro %}{% call m(1) %}body{{ n }}{% endcall %}
{% macro m(x) %}{{ caller(x, 2) }}{% endmacro %}{% call(a, b) m(1) %}[{{ a }}{{ b }}]{% endcall %}
{% macro m() %}{% set s = "inner" %}{{ s }}{% endmacro %}{{ m() }}{{ s }}
{% macro m(x) %}{{ x | length }}{% endmacro %}{{ m("abc") | int + 1 }}{{ m([1,2]) == "2" }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(*[1]) }}{{ m(**{"a": 2}) }}
{% with a = 1, b = n %}{{ a }}{{ b }}{% endwith %}{{ a is defined }}
{% raw %}{{ not }} {% parsed %}{% endraw %}
  {%- raw -%}  {{ x }}  {%- endraw -%}  y
a {# comment {{ x }} #} b
a {#- c -#} b
a\n  {# c #}\nb\n
line\n  {% if t %}\n    in\n  {% endif %}\nend\n
line\n  {%- if t -%}\n    in\n  {%- endif -%}\nend\n
line\n  {%+ if t +%}\n    in\n  {%+ endif +%}\nend\n
a  {{- s -}}  b  {{ s }}\n\n{{ s }}\n
   {% if t %}x{% endif %}   y
{% if t %}\n\nx\n{% endif %}\n\n
\n\n{{ s }}\n
\r\n{{ s }}\r\nx\ry
{{-1}}|{{ -1 }}|{{- 1 -}}|{{+1}}
x{%- set a = 1 %}\n\n y {%- set b = 2 -%} \n z
{% for x in l -%}\n  {{ x }}\n{%- endfor %}\n.
{{ padded | trim }}|{{ padded.strip() }}|{{ padded.lstrip() }}|{{ padded.rstrip() }}|{{ "xxaxx" | trim("x") }}|{{ "xyaxy".strip("xy") }}|{{ "xxaxx".lstrip("x") }}|{{ "xxaxx".rstrip("x") }}
{{ "a,b,,c".split(",") }}|{{ " a  b ".split() }}|{{ "a,b,c".split(",", 1) }}|{{ "a b c".split(maxsplit=1) }}|{{ "".split() }}|{{ "".split(",") }}|{{ "a<>b".split("<>")[-1] }}
{{ "a,b,c".rsplit(",", 1) }}|{{ " a b c ".rsplit(None, 1) }}|{{ "a b".rsplit() }}
{{ "a".split("") }}
{{ lines.splitlines() }}|{{ lines.splitlines(true) }}|{{ "a\n".splitlines() }}
{{ s.startswith("He") }}|{{ s.endswith("ld") }}|{{ s.startswith(("x", "H")) }}|{{ s.startswith("ell", 1) }}|{{ s.endswith("") }}|{{ "".startswith("a") }}
{{ s.replace("l", "L") }}|{{ s.replace("l", "L", 2) }}|{{ s | replace("o", "0") }}|{{ s | replace("o", "0", 1) }}|{{ "aaa".replace("", "-") }}|{{ "aaaa".replace("aa", "b") }}
{{ s.upper() }}|{{ s.lower() }}|{{ s | upper }}|{{ "hELLO wORLD-x" | capitalize }}|{{ "hELLO wORLD".capitalize() }}|{{ "hello wORLD-x it's" | title }}|{{ "hello wORLD-x it's".title() }}|{{ s.swapcase() }}
{{ uni.upper() }}|{{ uni.lower() }}|{{ uni.title() }}|{{ "ŉ ﬁx İ" | upper }}|{{ "İ" | lower }}
{{ s.find("o") }}|{{ s.find("o", 5) }}|{{ s.rfind("o") }}|{{ s.find("zz") }}|{{ s.index("W") }}|{{ s.count("l") }}|{{ s.count("") }}|{{ uni.find("é") }}|{{ s.find("") }}|{{ s.rfind("") }}
{{ s.index("zz") }}
{{ ", ".join(words) }}|{{ "".join([]) }}|{{ "-".join("abc") }}
{{ ", ".join([1, 2]) }}
{{ [1, 2, none] | join("-") }}|{{ l | join }}|{{ rows | join(",", attribute="n") }}|{{ "abc" | join("-") }}
{{ "%s is %d, %5.2f%% %r %x" % (s, n, f, "q", 255) }}|{{ "%s" % n }}|{{ "%05d|%-5s|%5s" % (42, "a", "b") }}|{{ "%(a)s" % {"a": 1} }}
{{ "%d" % "a" }}
{{ "%s %s" % (1,) }}
{{ "%s" | format("x") }}|{{ "%s-%s" | format(1, 2) }}|{{ "{} {}".format(1, "a") }}|{{ "{0}{1}{0}".format("x", "y") }}|{{ "{a}{{}}".format(a=3) }}
{{ "abc".isdigit() }}{{ "123".isdigit() }}{{ "a1".isalnum() }}{{ "ab".isalpha() }}{{ " ".isspace() }}{{ "".isalpha() }}{{ "AB".isupper() }}{{ "ab1".islower() }}{{ "１２".isdigit() }}{{ "²".isdigit() }}{{ "²".isdecimal() }}
{{ "42".zfill(5) }}|{{ "-42".zfill(5) }}|{{ "a".ljust(3) }}|{{ "a".rjust(3, "*") }}|{{ "ab".center(5, "*") }}|{{ "a".center(4) }}|{{ "abc" | center(8) }}|
{{ "prefix-x".removeprefix("prefix-") }}|{{ "x.py".removesuffix(".py") }}|{{ "a=b=c".partition("=") }}|{{ "a=b=c".rpartition("=") }}|{{ "abc".partition("=") }}|{{ "abc".rpartition("=") }}
{{ s | length }}{{ l | count }}{{ d | length }}{{ missing | length }}{{ empty | length }}
{{ n | length }}
{{ missing | default("dd") }}|{{ empty | default("dd") }}|{{ empty | default("dd", true) }}|{{ nul | d("x", boolean=true) }}|{{ d.q | default }}|{{ no | default(1, true) }}
{{ l | first }}|{{ l | last }}|{{ s | first }}|{{ s | last }}|{{ e | first is defined }}|{{ e | last }}|{{ d | first }}
{{ l | sort }}|{{ l | sort(reverse=true) }}|{{ words | sort }}|{{ words | sort(case_sensitive=true) }}|{{ rows | sort(attribute="v") | map(attribute="n") | list }}|{{ rows | sort(attribute="n", reverse=true) | map(attribute="n") | join }}
{{ [1, "a"] | sort }}
{{ l | reverse | list }}|{{ s | reverse }}|{{ uni | reverse }}
{{ words | unique | list }}|{{ [1, 1.0, true, 2] | unique | list }}|{{ words | unique(case_sensitive=true) | list }}
{{ l | sum }}|{{ rows | sum(attribute="v") }}|{{ l | sum(start=10) }}|{{ [0.5, 1] | sum }}|{{ l | min }}|{{ l | max }}|{{ words | min }}|{{ words | max }}|{{ e | max is defined }}|{{ (rows | max(attribute="v")).n }}
{{ f | round }}|{{ 3.14159 | round(2) }}|{{ 3.5 | round }}|{{ 2.4 | round(0, "ceil") }}|{{ 2.7 | round(method="floor") }}|{{ n | round }}|{{ 1234.5 | round(-2) }}
{{ "42" | int }}|{{ "x" | int }}|{{ "x" | int(5) }}|{{ "3.9" | int }}|{{ 3.9 | int }}|{{ nul | int }}|{{ "ff" | int(base=16) }}|{{ " 7 " | int }}|{{ "1_000" | int }}|{{ t | int }}
{{ "3.5" | float }}|{{ "x" | float }}|{{ n | float }}|{{ "1e3" | float }}|{{ neg | abs }}|{{ -2.5 | abs }}
{{ missing | int }}
{{ l | list }}|{{ "abc" | list }}|{{ d | list }}|{{ n | string }}|{{ nul | string }}|{{ n | string | length }}
{{ rows | map(attribute="n") | list }}|{{ rows | map(attribute="in.k") | list }}|{{ rows | map(attribute="in.k", default="-") | list }}|{{ words | map("upper") | list }}|{{ words | map("replace", "a", "_") | join(" ") }}|{{ nest | map(attribute=0) | list }}
{{ rows | selectattr("in") | map(attribute="n") | list }}|{{ rows | rejectattr("in") | map(attribute="n") | list }}|{{ rows | selectattr("v", "gt", 1) | map(attribute="n") | list }}|{{ rows | selectattr("n", "equalto", "Y") | list | length }}|{{ rows | rejectattr("v", "==", 1) | list | length }}|{{ rows | selectattr("in", "defined") | list | length }}|{{ rows | selectattr("n", "in", ["x", "z"]) | list | length }}
{{ [0, 1, "", "a", none] | select | list }}|{{ l | select("odd") | list }}|{{ l | reject("odd") | list }}|{{ l | select(">", 1) | list }}|{{ ["a", 1] | select("string") | list }}|{{ [0, 1] | reject | list }}
{{ "T" if rows | selectattr("v", "gt", 99) else "F" }}|{{ "T" if rows | selectattr("v", "gt", 99) | list else "F" }}
{{ rows | selectattr("v") | length }}
{% set g = l | map("string") %}{{ g | list }}{{ g | list }}
{{ l | batch(2) | list }}|{{ l | batch(2, "x") | list }}
{{ html | e }}|{{ html | escape }}|{{ html | safe }}|{{ (html | safe) + "<" }}|{{ (html | e) | e }}|{{ "<" ~ (html | safe) }}|{{ html | forceescape }}|{{ (html|safe) is escaped }}
{{ lines | indent }}|{{ lines | indent(2, true) }}|{{ lines | indent(2, blank=true) }}|{{ lines | indent("--") }}|{{ "" | indent }}
{{ "the quick  brown" | wordcount }}|{{ s | attr("x") is defined }}
{{ d | tojson }}|{{ d | tojson(indent=2) }}|{{ d | tojson(indent=4) }}|{{ e | tojson(indent=2) }}|{{ ed | tojson(indent=2) }}|{{ d | tojson(separators=(",", ":")) }}|{{ d | tojson(sort_keys=true) }}
{{ uni | tojson }}|{{ uni | tojson(ensure_ascii=true) }}|{{ ctl | tojson }}|{{ ctl | tojson(ensure_ascii=true) }}|{{ quote | tojson }}|{{ html | tojson }}|{{ lines | tojson }}
{{ nul | tojson }}{{ t | tojson }}{{ n | tojson }}{{ f | tojson }}{{ big | tojson }}{{ (1, 2) | tojson }}{{ {1: 2, none: 3, true: 4, 1.5: 5} | tojson }}
{{ {"b": {"z": 1, "y": [1, {"q": 2}]}, "a": []} | tojson(indent=1, sort_keys=true) }}|{{ [1, 2] | tojson(indent="\t") }}|{{ [1] | tojson(indent=0) }}|{{ [1,2] | tojson(indent=2, separators=(", ", ": ")) }}
{{ missing | tojson }}
{{ namespace() | tojson }}
{{ d.items() | tojson }}
{{ [quote, "it's", 'say "x"', ctl, lines, "\\"] }}|{{ {"k'": quote} }}|{{ [nul, t, 1.0, missing] }}
{{ 1.0 }}|{{ 100000000000000000.0 }}|{{ 1e16 }}|{{ 123456789012345.6 }}|{{ 0.1 + 0.2 }}|{{ 1e-7 }}|{{ 1/3 }}|{{ 10/2 }}|{{ 2.0 ** 0.5 }}
{{ big + 1 }}|{{ big * 1.0 }}|{{ 9223372036854775807 }}
{{ s is string }}{{ n is string }}{{ n is number }}{{ t is number }}{{ f is float }}{{ n is integer }}{{ t is integer }}{{ t is boolean }}{{ t is true }}{{ no is false }}{{ n is true }}{{ nul is none }}{{ missing is none }}
{{ d is mapping }}{{ l is mapping }}{{ l is sequence }}{{ s is sequence }}{{ d is sequence }}{{ n is sequence }}{{ l is iterable }}{{ s is iterable }}{{ n is iterable }}{{ missing is iterable }}{{ missing is sequence }}{{ nul is iterable }}{{ range(2) is sequence }}{{ d.items() is sequence }}{{ (l|map("string")) is iterable }}{{ (l|map("string")) is sequence }}
{{ n is odd }}{{ n is even }}{{ n is divisibleby 7 }}{{ n is divisibleby(2) }}{{ neg is odd }}{{ n is eq 7 }}{{ n is ne(7) }}{{ n is gt 3 }}{{ n is lt 3 }}{{ n is ge 7 }}{{ n is le 7 }}{{ n is sameas n }}{{ n is in [7] }}{{ n is not in [7] }}{{ s is not none }}{{ "ab" is lower }}{{ "AB" is upper }}{{ range is callable }}{{ n is callable }}{{ "upper" is filter }}{{ "zz" is test }}
{{ n is not defined or s is defined and not no }}
{{ n is equalto 7 and "a" or "b" }}|{{ not n is equalto 7 }}
{{ raise_exception("stop here") }}
{% if messages[0].role != 'system' %}{{ raise_exception("no " ~ "system: " + messages[0].role) }}{% endif %}
{{ strftime_now("%d %b %Y") }}|{{ strftime_now("%Y-%m-%d %H:%M:%S %j %A %B %%") }}
{{ s.nosuch is defined }}|{{ s.nosuch() }}
{{ s.nosuch() }}
{{ missing() }}
{{ n() }}
{{ l.append(1) }}
{{ d.update({}) }}
{{ l.index(1) }}|{{ l.count(3) }}|{{ (1,2,1).count(1) }}
{{ l.index(99) }}
{{ nest[0][1][1] }}|{{ nest[1].x.y }}|{{ nest[1]["x"]["y"] }}|{{ nest.0.1.0 }}|{{ l.0 }}
{% for m in messages %}{{ '<|' + m['role'] + '|>' + (m.content | trim) + '\n' }}{% endfor %}
{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}|{% endfor %}
{% for m in messages %}{%- generation -%}  {{ m.content }}!  {%- endgeneration -%}{% endfor %}
{% generation %}{% set q = 1 %}{{ q }}{% endgeneration %}{{ q is defined }}
{{ messages | tojson }}|{{ messages }}
{% set m = messages | selectattr("role", "equalto", "user") | list %}{{ m[0].content if m else "" }}
{{ messages | map(attribute="content") | map("trim") | join("; ") }}
{% set content = messages[1].content %}{% if content is string and content.strip() %}{{ content.strip().upper() }}{% endif %}
{% set parts = s.split(" ") %}{{ parts[0] }}{{ parts[-1] }}{{ parts | length }}
{{ (s ~ "x")[0:3] ~ (l | string)[1:4] }}
{% print s, n %}
{{ [1,2,3] == [1,2,3] }}{{ (1,) == [1] }}{{ {"a":1} == {"a":1.0} }}{{ "a" == "a" }}{{ nul == none }}{{ [] == () }}
{{ {"a":1,"b":2} == {"b":2,"a":1} }}
{{ loop is defined }}|{{ caller is defined }}
{% set x = namespace(v=[]) %}{% for i in range(4) %}{% set x.v = x.v + [i * i] %}{% endfor %}{{ x.v | join(",") }}
{{ "a" if n == 7 else "b" ~ "c" }}|{{ ("a" if no else "b") ~ "c" }}
{{ n if n is defined else 0 }}|{{ [x for x in l] }}
{{ s | upper | lower | title | length }}
{{ s|upper()|replace("L","l")|trim }}
{% if s and l and not e and d.b == 1 and "a" in d and n > 3 or no %}ok{% endif %}
{% if (n > 3) == (f < 3) %}ok{% endif %}{% if n > 3 == true %}x{% endif %}
{{ d.a[0] + d["a"][1] }}|{{ d.a | length > 1 }}|{{ d.a|length + 1 }}
{{ -1 | abs }}|{{ (-1) | abs }}|{{ 2 + 3 | string }}
{{ 2 * 3 | string }}|{{ "a" ~ 1 + 2 }}
{{ 'a' in 'abc' and 'd' not in 'abc' }}|{{ not 'a' in 'abc' }}
{{ [] or {} or '' or 0 or 'last' }}|{{ 1 and 'x' and [] }}
{{ {}.x is defined }}|{{ [].x is defined }}|{{ "".x is defined }}
{% if True %}T{% endif %}{% if False %}F{% endif %}{{ None }}{{ none }}{{ true }}{{ True }}
{% for i in range(3) %}{{ i }}{% if not loop.last %}, {% endif %}{% endfor %}
{% for i in (1, 2) %}{{ i }}{% endfor %}{% for i in 1, 2 %}{{ i }}{% endfor %}{% for i in [l, e] %}{{ i | length }}{% endfor %}
{% for row in rows %}{% for k, v in row.items() %}{{ k }}:{{ v }}{% if not loop.last %},{% endif %}{% endfor %};{% endfor %}
{%set x=1%}{{x}}{%if x%}y{%endif%}
{{ s.split("o")|map("trim")|list }}
{{ words | map("length") | list }}|{{ words | map("first") | join }}
{{ d.a is iterable and d.a is not string and d.a is not mapping }}
{{ "x" * 3 ~ "y" * 2 }}|{{ "=" * 10 }}
{{ 10 | string | int + 1 }}|{{ "5" | int * 2 }}|{{ "a" | upper ~ "b" }}
{% set a = [1,2,3] %}{% set first, rest = a[0], a[1:] %}{{ first }}{{ rest }}
{% set u = missing %}{{ u is defined }}{{ u }}
{{ "\u65e5" == "日" }}|{{ "日本" | length }}|{{ "日本"[1] }}
{{ " a b  c ".split(none, 1) }}|{{ " a b ".split(none, 0) }}|{{ " a b ".rsplit(none, 0) }}
{{ messages[0].content.split("<b>") }}|{{ messages[0]["content"][:2] }}
{% macro r(x) -%}  {{ x }}  {%- endmacro %}[{{ r(1) }}][{{ r("a") | trim }}]
{% macro a() %}A{% endmacro %}{% macro b() %}{{ a() }}B{% endmacro %}{{ b() }}{{ (a() ~ b()) | lower }}
{% include "x" %}
{{ s | nosuchfilter }}
{{ s is nosuchtest }}
{% nosuchtag %}
{% if t %}
{{ s
{{ }}
{{ 1 + }}
{% for x l %}{% endfor %}
{% set 1 = 2 %}
{% break %}
{{ a b }}
{{ (1 }}
{{ "abc }}
{# never ends
{% raw %} never
{% endif %}
{{ f(a=1, 2) }}
{{ l[1 }}
{{ 9 $ 3 }}
'''


def snippets():
    """Lines of SNIPPETS; backslash-n and backslash-r outside of quotes-in-tags are real line ends."""
    out = []
    for line in SNIPPETS.strip("\n").split("\n"):
        out.append(line)
    return out
