"""Writes the pages of docs/ that are made from the tables of the house; `--check` says which are stale instead."""

import sys
from collections.abc import Callable, Sequence
from html import unescape
from pathlib import Path
from re import findall

from mediation.domain import access, errors
from mediation.domain.deadlines import Rule
from mediation.domain.enquiry import in_force, limit
from mediation.domain.laws import Procedure
from mediation.domain.process import CONDITIONS, GUARDS, LINK_UPS, NONE, ROWS, TEXTS, cite_zh
from mediation.domain.published import FEWER, THREE, mermaid, moves, second_factor
from mediation.domain.vocabulary import (
    Action,
    Label,
    LegState,
    Letter,
    LinkUp,
    Power,
    Role,
    Sensitive,
    Sensitivity,
    Standing,
    Word,
    glossary,
)
from mediation.service.lawbook import load_laws

HERE = Path(__file__).parent
MADE = "<!-- Made by `make docs` from the tables of the house: change those, not this page. -->\n"
NOT_HELD = "未存原文，不引用 text not held, not quoted"


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(cells) + " |" for cells in (head, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(head), *lines[1:]]) + "\n"


def process_page() -> str:
    """docs/process.md: the diagram, every row, guards, link-ups and texts."""
    laws = load_laws()
    rows = [
        (
            f"{row.action.zh} `{row.action.value}`",
            f"{'∅' if row.source == NONE else row.source} → {'=' if row.target == row.source else row.target}",
            " ".join(sorted(row.when)) or "",
            " ".join(letter.value for letter in row.who).replace("*", "any"),
            " ".join(row.guards),
            "；".join(cite_zh(article) for article in row.basis),
        )
        for row in ROWS
    ]
    link_ups = [
        (
            f"{link_up.zh} `{link_up.value}`",
            LINK_UPS[link_up].mode.value,
            " ".join(sorted(LINK_UPS[link_up].sources)),
            LINK_UPS[link_up].consent or "–",
            "、".join(paper.zh for paper in LINK_UPS[link_up].papers),
            " ".join(rule for rule, versions in laws.rules.items() if any(link_up in v.link_ups for v in versions))
            or "–",
            LINK_UPS[link_up].silence.value,
            LINK_UPS[link_up].owes or "–",
            "；".join(cite_zh(article) for article in LINK_UPS[link_up].basis),
        )
        for link_up in LinkUp
    ]
    return "\n".join(
        [
            MADE,
            "# The process 办理流程\n\nA row per step of a leg 程序段. `∅` no leg yet · `=` it stays.\n",
            "![States of a leg](process.svg)\n",
            f"```mermaid\n{mermaid()}```\n",
            "## Rows 步骤\n",
            table(("action", "leg", "when", "who", "guards", "basis"), rows),
            "Who: " + " · ".join(f"{letter.value} {letter.zh} {letter.en}" for letter in Letter) + "\n",
            "## Conditions\n",
            table(("condition", "holds when"), [(f"`{code}`", en) for code, en in CONDITIONS.items()]),
            "## Guards 条件\n",
            table(("guard", "中文", "English"), [(code, zh, en) for code, (zh, en) in GUARDS.items()]),
            "## Link-ups 对接\n",
            table(
                ("link-up", "mode", "sender's leg", "consent", "papers", "clocks", "silence", "owes", "basis"),
                link_ups,
            ),
            "## Procedures 程序\n\nWhat each takes, must refuse and is worth: [the law](law.md#procedures-程序).\n",
            "## Texts 依据\n\nLabels: P text read · S secondary source · C public forms · G unverified · Q policy.\n",
            table(
                ("code", "中文", "English", "cited from", "label"),
                [(code, text.zh, text.en, text.in_force, text.label) for code, text in TEXTS.items()],
            ),
        ]
    )


def law_page() -> str:
    """docs/law.md: every version of every rule, with its article and how far it may be trusted; the procedures' too."""
    laws = load_laws()
    overview = [
        (
            f"[`{key}`](#{key.lower()})",
            versions[-1].zh,
            versions[-1].en,
            " · ".join(sorted({limit(version)[0] for version in versions})),
            " ".join(sorted({version.label.value for version in versions})),
            " · ".join(sorted({version.region for version in versions} - {""})),
        )
        for key, versions in sorted(laws.rules.items())
    ]
    years = sorted(laws.calendar.years)
    return "\n".join(
        [
            MADE,
            "# The law as it is applied 期限与程序\n",
            "Of the packs that come with the service; `GET /v1/rules` gives those in use, an operator's among them.\n",
            "Labels: " + " · ".join(f"**{label.value}** {label.zh} {label.en}" for label in Label) + "\n",
            f"Working days 工作日: notices of {years[0]}–{years[-1]}; days of later years are provisional 暂定.\n",
            "## Rules 期限\n",
            table(("rule", "中文", "English", "limit", "label", "regions"), overview),
            *(f"### {key}\n\n" + "\n".join(map(_rule, versions)) for key, versions in sorted(laws.rules.items())),
            *_procedures([version for _, versions in sorted(laws.procedures.items()) for version in versions]),
        ]
    )


def _rule(rule: Rule) -> str:
    """A version of a rule as a list: what it says, since when and where, on what it rests, and what is open."""
    extension = rule.extension
    extended = ""
    if extension:
        most = f"{extension.value}{extension.unit.zh}" if extension.value else "未规定上限 no most is stated"
        times = f"，至多{extension.times}次" if extension.times else "，次数不限 as often as agreed"
        paper = f"，{extension.paper.zh}" if extension.paper else ""
        extended = f"{extension.by.zh} {extension.by.en}: {most}{times}{paper}"
    place = (*rule.procedures, *rule.link_ups, *filter(None, (rule.variant, rule.speciality)), *rule.tiers, *rule.kinds)
    said = (
        ("limit 期限", " ".join(limit(rule))),
        ("in force 施行", " · ".join(in_force(rule))),
        (
            "basis 依据",
            f"{rule.basis} [{rule.label.value}]，{f'已存原文 text: {rule.text}' if rule.text else NOT_HELD}",
        ),
        ("in 适用", " ".join(f"`{code}`" for code in place)),
        ("starts 起算", f"{rule.from_zh} {rule.from_en} {_words(rule.starts)}"),
        ("first day 首日", "" if rule.exclude_start else "起算当日计入 the first day counts"),
        ("last day 末日", _words((rule.roll,))),
        ("stands still 中止", _words(rule.suspends)),
        ("extension 延长", extended),
        ("stops 停止", _words(rule.until)),
        ("on expiry 届满", f"{_words((rule.on_expiry,) if rule.on_expiry else ())} {rule.expiry_zh} {rule.expiry_en}"),
        ("warns 提醒", "、".join(f"届满前{days}日" for days in rule.warn)),
        ("doubt 存疑", rule.doubt),
    )
    lines = [f"  - {name}: {' '.join(words.split())}\n" for name, words in said if words.strip()]
    return f"- `{rule.version}` **{rule.zh}** {rule.en}\n" + "".join(lines)


def _words(words: Sequence[Word]) -> str:
    return "、".join(f"{word.zh} `{word.value}`" for word in words)


def _procedures(versions: list[Procedure]) -> list[str]:
    """What each version of a procedure takes, must refuse and is worth, a table of each."""
    held = [
        (
            f"{p.zh} {p.en} `{p.version}`",
            " · ".join(in_force(p)),
            p.track.zh,
            "decides" if p.decides else "mediates",
            "、".join(kind.zh for kind in p.kinds),
            " ".join(p.excludes) or "–",
            " ".join(p.next),
            f"{p.basis} [{p.label.value}]",
            p.text or NOT_HELD,
            p.doubt,
        )
        for p in versions
    ]
    asked = [(f"`{p.version}`", one.zh, one.en, cite_zh(one.basis)) for p in versions for one in p.accepts]
    refused = [
        (f"`{p.version}`", f"{ground.zh} `{ground.when}`", ground.en, ground.at, cite_zh(ground.basis))
        for p in versions
        for ground in p.refuses
    ]
    worth = [(f"`{p.version}`", p.effect_zh, p.effect_en) for p in versions]
    head = ("procedure", "in force", "track", "decides", "held by", "excludes", "next", "basis", "text", "doubt")
    return [
        "## Procedures 程序\n",
        table(head, held),
        "### What they take 受理条件\n",
        table(("procedure", "中文", "English", "article"), asked),
        "### What they must refuse 不予受理、不予调解\n",
        table(("procedure", "ground", "English", "at", "article"), refused),
        "### What they are worth 效力\n",
        table(("procedure", "中文", "English"), worth),
    ]


GROUPS: dict[str, frozenset[Role]] = {
    "办案各角色 every part": access.EVERYBODY,
    "办案各角色（调解员除外） every part but a mediator": access.WIDE,
    "经办各角色 who acts": access.ACTING,
    "督导各角色 who is above": access.ABOVE,
    "经办与督导各角色 who acts or is above": access.ACTING | access.ABOVE,
}
"""Sets of roles with a name of their own on the page."""


def access_page() -> str:
    """docs/access.md: who may do what from where; its words stand in access.txt, its tables in the house."""
    return f"{MADE}\n" + (HERE / "access.txt").read_text("utf-8").format(
        standings=_coded("standing", Standing),
        roles=table(
            ("role", "letters"), [(_words([r]), " ".join(sorted(access.ROLE_LETTERS.get(r, "–")))) for r in Role]
        ),
        groups="\n".join(f"- **{name}**: {_words([r for r in Role if r in group])}" for name, group in GROUPS.items()),
        steps=table(
            ("action", "who"),
            [(_words([a]), "、".join(f"{letter.zh}({letter.value})" for letter in access.WHO[a])) for a in Action],
        ),
        letters=table(
            ("letter", "roles", "from", "only to"),
            [
                (
                    f"{c.letter.value} {c.letter.zh}",
                    _roles(c.roles),
                    _standings(c.standings),
                    _words(sorted(c.actions or ())),
                )
                for c in access.CAPACITIES
            ],
        ),
        permits=table(
            ("power", "how much", "roles", "from", "restricted too"),
            [
                (
                    *(_words([p.power]), _words([p.sensitivity]), _roles(p.roles), _standings(p.standings)),
                    "是 yes" if p.restricted else "否 no",
                )
                for p in access.PERMITS
            ],
        ),
        sensitivities=_coded("how much", Sensitivity),
        fewer=FEWER,
        sensitive="\n".join(f"- {why.zh} {why.en} `{why.value}`" for why in Sensitive),
        three=THREE,
        administrators=table(
            ("administrator", "may"),
            [
                (_words([role]), _words([power for power in Power if (power, role) in _GIVEN]))
                for role in Role
                if role in access.ADMINISTRATORS
            ],
        ),
        twice=_words([power for power in Power if second_factor(power)]),
    )


_GIVEN = {(permit.power, role) for permit in access.PERMITS for role in permit.roles}


def _coded(head: str, words: type[Word]) -> str:
    return table((head, "中文", "English"), [(f"`{word.value}`", word.zh, word.en) for word in words])


def _standings(standings: frozenset[Standing]) -> str:
    return "不限 any" if standings == frozenset(Standing) else _words([s for s in Standing if s in standings])


def _roles(roles: frozenset[Role]) -> str:
    """Roles by name, or the group that they are but for a few."""
    for name, group in GROUPS.items():
        if roles == group:
            return f"**{name}**"
    for name, group in GROUPS.items():
        less = group - roles
        if roles < group and len(less) <= 3 < len(roles):  # noqa: PLR2004 - what is still easy to read
            return f"**{name}**，除 but {_words([role for role in Role if role in less])}"
    return _words([role for role in Role if role in roles])


def glossary_page() -> str:
    """docs/glossary.md: every word with its Chinese term."""
    words = [(word["kind"], f"`{word['code']}`", word["zh"], word["en"]) for word in glossary()]
    return "\n".join([MADE, "# Glossary 词汇\n", table(("kind", "code", "中文", "English"), words)])


def errors_page() -> str:
    """docs/errors.md: the tree of what can be refused."""
    rows: list[tuple[str, ...]] = []

    def walk(kind: type[errors.MediationError], depth: int) -> None:
        summary = (kind.__doc__ or "").partition("\n")[0]
        rows.append(("　" * depth + f"`{kind.__name__}`", f"`{kind.code}`", kind.zh, summary))
        for below in kind.__subclasses__():
            if below.__module__ == errors.__name__:
                walk(below, depth + 1)

    walk(errors.MediationError, 0)
    return "\n".join([MADE, "# Refusals 拒绝\n", table(("class", "code", "中文", "means"), rows)])


def diagram() -> str:
    """docs/process.svg: the moves of a leg, laid out by graphviz."""
    import pygraphviz  # noqa: PLC0415 - only drawing needs it; `--check` must not

    graph = pygraphviz.AGraph(directed=True, rankdir="LR", fontname="sans-serif", nodesep="0.5", ranksep="1.1")
    graph.node_attr.update(
        shape="box", style="rounded,filled", fillcolor="#f3f6fb", color="#3b5b8c", fontname="sans-serif"
    )
    graph.edge_attr.update(fontsize="10", fontname="sans-serif", color="#6b7a90")
    graph.add_node(NONE, label="", shape="circle", width="0.18", fillcolor="#3b5b8c")
    for state in LegState:
        graph.add_node(state.value, label=f"{state.zh}\n{state.value}")
    for (source, target), actions in moves().items():
        graph.add_edge(source, target, label="\n".join(f"{Action(action).zh} {action}" for action in actions))
    drawn: bytes = graph.draw(format="svg", prog="dot")
    return drawn.decode("utf-8")


def shown_in(svg: str) -> set[str]:
    """`source->target` of every edge that an SVG by graphviz shows."""
    return {unescape(title) for title in findall(r"<title>(.*?)</title>", svg) if "&#45;&gt;" in title}


PAGES: dict[str, Callable[[], str]] = {
    "process.md": process_page,
    "law.md": law_page,
    "access.md": access_page,
    "glossary.md": glossary_page,
    "errors.md": errors_page,
}


def stale() -> list[str]:
    """Pages that are not what the tables say; of the diagram, its edges."""
    found = [
        name for name, make in PAGES.items() if not (HERE / name).exists() or (HERE / name).read_text("utf-8") != make()
    ]
    drawn = HERE / "process.svg"
    edges = {f"{source}->{target}" for source, target in moves()}
    if not drawn.exists() or shown_in(drawn.read_text("utf-8")) != edges:
        found.append("process.svg")
    return found


def main() -> int:
    """Write every page, or with `--check` name the stale ones and fail."""
    if "--check" in sys.argv:
        found = stale()
        for name in found:
            print(f"docs/{name} is stale: run `make docs` 文档已过期，请运行 make docs", file=sys.stderr)
        return 1 if found else 0
    for name, make in PAGES.items():
        (HERE / name).write_text(make(), encoding="utf-8")
    (HERE / "process.svg").write_text(diagram(), encoding="utf-8")
    print(f"wrote {', '.join([*PAGES, 'process.svg'])} in docs/")
    return 0


if __name__ == "__main__":
    sys.exit(main())
