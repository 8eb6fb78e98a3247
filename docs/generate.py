"""Writes the pages of docs/ that are made from the tables of the house; `--check` says which are stale instead."""

import sys
from collections.abc import Callable
from html import unescape
from pathlib import Path
from re import findall

from mediation.domain import errors
from mediation.domain.access import ROLE_LETTERS, WHO
from mediation.domain.process import CONDITIONS, GUARDS, LINK_UPS, NONE, ROWS, TEXTS, cite_zh
from mediation.domain.published import mermaid, moves
from mediation.domain.vocabulary import Action, LegState, Letter, LinkUp, glossary
from mediation.service.lawbook import load_laws

HERE = Path(__file__).parent
MADE = "<!-- Made by `make docs` from the tables of the house: change those, not this page. -->\n"


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(cells) + " |" for cells in (head, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(head), *lines[1:]]) + "\n"


def process_page() -> str:
    """docs/process.md: the diagram, every row, guards, link-ups, texts and procedures."""
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
    versions = [version for versions in laws.procedures.values() for version in versions]
    procedures = [
        (
            f"{p.zh} `{p.version}`",
            p.region or "–",
            p.track.zh,
            "decides" if p.decides else "mediates",
            "、".join(kind.zh for kind in p.kinds),
            " ".join(p.excludes) or "–",
            " ".join(p.next),
            p.basis,
            f"{p.label} {p.doubt}".strip(),
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
            "## Procedures 程序\n",
            table(
                ("procedure", "region", "track", "decides", "held by", "excludes", "next", "basis", "label"), procedures
            ),
            "### What they take 受理条件\n",
            table(("procedure", "中文", "English", "article"), asked),
            "### What they must refuse 不予受理、不予调解\n",
            table(("procedure", "ground", "English", "at", "article"), refused),
            "### What they are worth 效力\n",
            table(("procedure", "中文", "English"), worth),
            "## Texts 依据\n\nLabels: P text read · S secondary source · C public forms · G unverified · Q policy.\n",
            table(
                ("code", "中文", "English", "cited from", "label"),
                [(code, text.zh, text.en, text.in_force, text.label) for code, text in TEXTS.items()],
            ),
        ]
    )


def access_page() -> str:
    """docs/access.md: who may take which action, and the roles behind the letters."""
    actions = [
        (f"{action.zh} `{action.value}`", "、".join(f"{letter.zh}({letter.value})" for letter in WHO[action]))
        for action in Action
    ]
    roles = [(f"{role.zh} `{role.value}`", " ".join(sorted(letters))) for role, letters in ROLE_LETTERS.items()]
    return "\n".join(
        [
            MADE,
            "# Who may do what 权限\n\nA letter is a capacity and a relation to the leg.\n",
            table(("action", "who"), actions),
            "## Roles 角色\n",
            table(("role", "letters"), roles),
        ]
    )


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
