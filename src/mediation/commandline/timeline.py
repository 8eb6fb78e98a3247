"""How the demo is shown: a timeline in Chinese with English beneath, tables of what there is, and progress bars."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from mediation.domain.facts import Case
from mediation.domain.process import TEXTS
from mediation.domain.vocabulary import Action, CaseState, Category, OrgKind, Role, Tier
from mediation.service.demo import Census, Chapter, Scene
from mediation.service.lawbook import load_laws

_WIDTH = 120
_INDENT = 13
_KINDS_A_ROW = 3
_COLOURS = {Tier.VILLAGE: "green", Tier.TOWNSHIP: "cyan", Tier.COUNTY: "yellow", Tier.CITY: "blue"}


def console(*, stderr: bool = False) -> Console:
    """Where it is shown: as wide as the terminal, or as a page where there is none."""
    made = _Screen(highlight=False, stderr=stderr)
    return made if made.is_terminal else _Screen(highlight=False, stderr=stderr, width=_WIDTH)


class _Screen(Console):
    """Falls silent when nobody reads on (`mediation demo | head`): what was begun is still done."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def progress(screen: Console, said: str) -> Iterator[Progress]:
    """A bar for long work, gone when it is done."""
    columns = (SpinnerColumn(), TextColumn(said), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as bar:
        yield bar


def done(screen: Console, zh: str, en: str, seconds: float | None = None) -> None:
    """Say that something is done, and how long it took."""
    took = f"  {seconds:.1f} s" if seconds is not None else ""
    screen.print(Text.assemble(("✓ ", "green"), zh, ("  " + en, "dim"), (took, "dim")), soft_wrap=True)


def chapter(screen: Console, told: Chapter) -> None:
    """The heading of a chapter."""
    screen.print()
    screen.rule(Text.assemble((told.zh, "bold"), ("  " + told.en, "dim")), align="left")


def scene(screen: Console, told: Scene) -> None:
    """A step: when, who, for whom and what; what is told of it; and what it rests on, or why it was refused."""
    taken = told.status < 300  # noqa: PLR2004  # HTTP's own number
    body = told.body
    colour = "magenta" if body.kind is OrgKind.COURT else _COLOURS.get(body.tier, "white")
    name = body.name.partition("（")[0].replace("人民调解委员会", "调委会")
    role, action = Role(told.role), Action(told.action)
    line = Text(f"{told.at:%m-%d %H:%M}", style="italic dim" if told.make_believe else "dim")
    line.append(" ✓ " if taken else " ✗ ", "green" if taken else "bold red")
    line.append(f"{action.zh} ", "bold" if taken else "bold red")
    line.append(f"{action.value}", "dim")
    line.append(f"  {name}", colour)
    line.append(f" {role.zh.partition('·')[0]} {told.person}")
    if told.before != told.after:
        line.append(f"  {CaseState(told.before).zh} → {CaseState(told.after).zh}", "bold blue")
    screen.print(line)
    _indented(screen, Text.assemble(told.zh, ("  " + told.en, "dim")))
    if told.repeated:
        said = "同一幂等键连发两次：只办一次，答复相同  sent twice with one Idempotency-Key: one effect, one answer"
        _indented(screen, Text(said, style="italic dim"))
    if taken:
        _indented(screen, Text(_cited(told.basis), style="dim italic"))
    for reason in told.reasons:
        cited = f"  〔{reason.basis}〕" if reason.basis else ""
        _indented(screen, Text.assemble((f"{told.status} {reason.zh}", "red"), (cited, "dim")))
        _indented(screen, Text("    " + reason.en, style="red dim"))


def _indented(screen: Console, text: Text) -> None:
    screen.print(Padding(text, (0, 0, 0, _INDENT), expand=False))


def _cited(basis: tuple[str, ...]) -> str:
    """What an event rests on as a person cites it: articles by their law, then the clocks that it started."""
    articles: dict[str, list[str]] = {}
    clocks = []
    for name in basis:
        text, _, article = name.partition("@")[0].partition("-")
        rule = load_laws().version(name)
        if rule:
            clocks.append(rule.zh.partition("（")[0])
        elif text in TEXTS:
            articles.setdefault(TEXTS[text].zh.partition("(")[0], []).append(article)
    cited = [f"{law}第{'、'.join(numbers)}条" for law, numbers in articles.items()]
    return "；".join(cited) + "".join(f"  ▶{clock}" for clock in clocks)


def history(screen: Console, case: Case, parties: list[dict[str, str]]) -> None:
    """What the history that was read back says."""
    names = "、".join(party["name"] for party in parties)
    parts = f"{len(case.legs)} · {len(case.handoffs)} · {len(case.agreements)}"
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for zh, en, value in (
        ("案号", "number", case.number),
        ("状态", "state", f"{case.state.zh} {case.state}"),
        ("当事人（遮蔽）", "parties, masked", names),
        ("事件", "events", str(case.version)),
        ("程序段·移交·协议", "legs · hand-offs · agreements", parts),
        ("链首", "head of the chain", case.head),
    ):  # fmt: skip
        table.add_row(zh, Text(en, style="dim"), value)
    screen.print(Padding(table, (0, 0, 0, 2), expand=False))


def tables(screen: Console, found: Census) -> None:
    """The county's cases by state and tier, and by category."""
    tiers = [tier for tier in Tier if any(at == tier for _, at in found.states)]
    table = Table(title="案件 Cases", title_style="bold", header_style="dim")
    table.add_column("状态\nstate", no_wrap=True)
    for tier in tiers:
        table.add_column(f"{tier.zh.partition('(')[0]}\n{tier.en}", justify="right", no_wrap=True)
    table.add_column("合计\ntotal", justify="right", style="bold", no_wrap=True)
    for state in CaseState:
        counts = [found.states[state.value, tier.value] for tier in tiers]
        if any(counts):
            table.add_row(
                f"{state.zh.partition('(')[0]} {state.en}", *(str(count or "") for count in counts), str(sum(counts))
            )
    totals = [sum(n for (_, at), n in found.states.items() if at == tier) for tier in tiers]
    table.add_section()
    table.add_row("合计 total", *map(str, totals), str(sum(totals)), style="bold")
    screen.print(table)
    kinds = Table.grid(padding=(0, 2))
    named = [(f"{Category(code).zh} [dim]{Category(code).en}[/]", str(n)) for code, n in found.categories.most_common()]
    for start in range(0, len(named), _KINDS_A_ROW):
        kinds.add_row(*(word for pair in named[start : start + _KINDS_A_ROW] for word in pair))
    screen.print(Padding(kinds, (1, 0, 0, 1), expand=False))
