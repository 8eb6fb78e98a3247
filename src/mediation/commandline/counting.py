"""Commands about the law as it is applied: `due` counts a limit, `rules` lists them, `calendar` keeps the notices."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mediation.commandline.speech import AsJson, answer, pick, read_settings, say

if TYPE_CHECKING:  # `--help` needs none of them
    from mediation.service.lawbook import Added, Lawbook

app = typer.Typer()
calendar = typer.Typer(no_args_is_help=True, help="Working days: notices and provisional years. 工作日历")
app.add_typer(calendar, name="calendar")

Division = Annotated[str, typer.Option(metavar="CODE", help="Whose regional rules apply. 行政区划代码，适用当地规则")]
_WEEKDAYS = (("一", "Monday"), ("二", "Tuesday"), ("三", "Wednesday"), ("四", "Thursday"), ("五", "Friday"),
             ("六", "Saturday"), ("日", "Sunday"))  # fmt: skip


@app.command(
    epilog="Example 示例: mediation due MED-PM --from 2026-06-01 --suspend 2026-06-10/2026-07-08. "
    "`mediation rules` lists the rules. 规则编号见 mediation rules。"
)
def due(
    rule: Annotated[str, typer.Argument(metavar="RULE", help="Id of a rule, such as PM-MED. 规则编号")],
    *,
    start: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="DATE",
            help="The day it starts from; of hour rules an instant. 起算日；按小时的规则给时刻",
        ),
    ],
    suspend: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FROM/TO", help="Days it stood still, both included; repeatable. 中止区间（含首尾，可多次）"
        ),
    ] = None,
    extend: Annotated[
        int, typer.Option(min=0, max=9999, metavar="N", help="Extended by N of its extension's unit. 延长N个单位")
    ] = 0,
    division: Division = "",
    on: Annotated[str, typer.Option(metavar="DATE", help="The day whose rules apply [--from]. 适用哪一天的规则")] = "",
    as_json: AsJson = False,
) -> None:
    """Count when a limit is due, and explain each step; needs no database. 推算期限届满日"""
    from mediation.domain.enquiry import counted, day, moment
    from mediation.domain.errors import Malformed

    try:
        asked: dict[str, Any] = {
            "start": moment(start),
            "stood": [(day(first), day(last)) for first, last in map(_interval, suspend or ())],
            "on": day(on) if on else None,
            "division": _code(division),
        }
        found = counted(_lawbook().laws, rule, extended=extend, **asked)
    except Malformed as wrong:
        raise typer.BadParameter(pick(wrong.zh, wrong.en)) from wrong
    if as_json:
        answer(found)
        return
    typer.echo(pick(f"届满日：{_dated(found['due_on'])}", f"Due: {_dated(found['due_on'])}"))
    if found["provisional"]:
        say(
            "暂定：该日依据的年份尚无放假安排，公布并导入后重新计算。",
            "Provisional: it depends on a year without a notice; it is counted again once that is imported.",
        )
    for line in found["explanation"]:
        typer.echo(f"  {_short(line['on'])}  {pick(line['zh'], line['en'])}")


@app.command()
def rules(
    rule: Annotated[str, typer.Argument(metavar="[RULE]", help="One rule, whole. 只看一条")] = "",
    *,
    division: Division = "",
    on: Annotated[str, typer.Option(metavar="DATE", help="Those in force on this day. 只列该日施行的")] = "",
    as_json: AsJson = False,
) -> None:
    """List the rules: limit, validity, article, and how far each may be trusted. 规则一览"""
    from mediation.domain.enquiry import day, listed, versions
    from mediation.domain.errors import Malformed

    try:
        held = day(on).isoformat() if on else ""
        code = _code(division)
    except Malformed as wrong:
        raise typer.BadParameter(pick(wrong.zh, wrong.en)) from wrong
    laws = _lawbook().laws
    if rule:
        versions(laws, rule)  # an unknown one is told
    found = listed(laws, on=held, division=code, named=rule)
    if as_json:
        answer(found)
        return
    for table in found["rules"]:
        _tell(table, whole=bool(rule))
    say(
        f"{len(found['rules'])} 条。标注 P 已核原文、S 二手来源、C 文书格式、G 未经核实、Q 政策。",
        f"{len(found['rules'])} in all. P text read, S secondary source, C official form, G not verified, Q policy.",
    )


@calendar.command("import")
def import_notice(
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="CSV, UTF-8: date,is_workday,kind,name. 放假安排")
    ],
) -> None:
    """Add the notice of a year the day it is published; dates that waited for it are counted again. 导入放假安排"""
    from mediation.domain.enquiry import provisional_from
    from mediation.service.lawbook import BadLaws

    book = _lawbook()
    before = book.laws.calendar.years
    try:
        added = book.add_notice(file.read_bytes().decode())
    except UnicodeDecodeError as wrong:
        say(f"{file} 不是 UTF-8 文本。", f"{file} is not UTF-8 text.", to_stderr=True)
        raise typer.Exit(1) from wrong
    except BadLaws as wrong:
        for reason in wrong.reasons:
            say(f"{file}：{reason.zh}", f"{file}: {reason.en}", to_stderr=True)
        say("未写入任何内容。", "Nothing was written.", to_stderr=True)
        raise typer.Exit(1) from wrong
    say(f"已写入 {added.path}。", f"Written to {added.path}.")
    _tell_added(added, before)
    following = provisional_from(added.found.laws)
    say(
        f"{following}年起仍为暂定。服务在一分钟内读入，依赖新年份的暂定日期由时钟重新计算，每个案件各记一个事件。",
        f"From {following} on days stay provisional. A service reads it within a minute; its clock then counts "
        "the days again that waited for it, an event in each case.",
    )


def _tell_added(added: "Added", before: frozenset[int]) -> None:
    years, year = added.found.laws.calendar.years, added.year
    if added.lacks:
        zh, en = "、".join(name for name, _ in added.lacks), ", ".join(name for _, name in added.lacks)
        if year in before:
            say(
                f"这不是{year}年的完整安排：缺{zh}。作为更正存放，优先于已有安排。",
                f"This is not the whole notice of {year}: {en} missing; kept as a correction, which goes first.",
            )
        else:
            say(
                f"已作为{year}年的安排导入，但缺{zh}：请核对，并再次导入完整的安排。",
                f"Taken for the notice of {year}, though {en} missing: check it, and import the whole one again.",
            )
    if added.aside:
        names = [path.name for path in added.aside]
        say(
            f"此前的更正不再采用，已改名：{'、'.join(names)}。如仍须更正，请另行导入。",
            f"Earlier corrections are out of use, and renamed: {', '.join(names)}. Import again what still holds.",
        )
    new = ", ".join(map(str, sorted(years - before)))
    if new:
        say(f"新公布的年份：{new.replace(', ', '、')}。", f"Published now: {new}.")
    elif year in years:
        say("没有新的年份；已公布年份的安排可能有变。", "No further year; those there are may have changed.")


@calendar.command()
def show(
    year: Annotated[int | None, typer.Argument(min=1949, max=2100, help="One year. 年份")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Which years have a notice; of one year, its days of rest and make-up working days. 查看工作日历"""
    from mediation.domain.enquiry import provisional_from

    book = _lawbook()
    years, following = sorted(book.laws.calendar.years), provisional_from(book.laws)
    named = {day: said for day, said in book.current.exceptions.items() if year is not None and day[:4] == str(year)}
    if as_json:
        told: dict[str, Any] = {"years": years, "provisional_from": following, "directory": str(book.directory)}
        if year is not None:
            told |= {"year": year, "published": year in years}
            told["exceptions"] = [{"date": day, "working": works, "name": name} for day, (works, name) in named.items()]
        answer(told)
        return
    if year is None:
        say(
            f"已公布：{_spans(years)}；{following}年起为暂定。",
            f"Published: {_spans(years)}; provisional from {following}.",
        )
        _remind(following or 0, book)
        return
    for day, (works, name) in named.items():
        typer.echo(f"  {_dated(day)}  {pick('上班' if works else '休息', 'work' if works else 'rest')}  {name}")
    if year not in years:
        say(f"{year}年没有放假安排：按周一至周五为工作日计算，日期标为暂定。",
            f"No notice of {year} yet: Monday to Friday are working days, and its days are provisional.")  # fmt: skip
        _remind(year, book)


def _remind(year: int, book: "Lawbook") -> None:
    say(
        f"国务院办公厅公布{year}年安排后：mediation calendar import 文件.csv（存入 {book.directory}）",
        f"Once the notice of {year} is published: mediation calendar import FILE.csv (kept in {book.directory})",
    )


def _lawbook() -> "Lawbook":
    from mediation.service.lawbook import Lawbook

    return Lawbook(read_settings().laws)


def _interval(said: str) -> tuple[str, str]:
    first, _, last = said.partition("/")
    if not last:
        raise typer.BadParameter(
            pick(
                f"“{said}”须写作 起/止，如 2026-06-10/2026-07-08", f"{said!r} is not FROM/TO, as 2026-06-10/2026-07-08"
            )
        )
    return first, last


def _code(said: str) -> str:
    if said and not (said.isascii() and said.isdigit() and 2 <= len(said) <= 12):  # noqa: PLR2004  # as the registry has them
        raise typer.BadParameter(pick(f"“{said}”不是区划代码", f"{said!r} is no code of a division"))
    return said


def _tell(table: dict[str, Any], *, whole: bool) -> None:
    """A rule in two lines; whole, with all that it says."""
    limit, name = pick(table["limit_zh"], table["limit_en"]), pick(table["zh"], table["en"])
    typer.echo(f"{typer.style(table['version'], bold=True)}  {limit}  {name}")
    since = f"{table['valid_from']} – {table['valid_to'] or '…'}"
    where = f"  {table['region'] or table['division']}" if table["division"] else ""
    typer.echo(f"    {since}{where}  {table['basis']} [{table['label']}]")
    if not whole:
        return
    extension = table["extension"]
    by = extension["by"] if extension else None
    facts = (
        (pick("起算", "starts"), pick(table["from_zh"], table["from_en"])),
        (pick("最后一日", "last day"), pick(table["roll_zh"], table["roll_en"])),
        (pick("中止事由", "stands still"), "、".join(pick(cause.zh, cause.en) for cause in table["suspends"])),
        (pick("延长", "extension"), pick(by.zh, by.en) if by else ""),
        (
            pick("届满", "on expiry"),
            pick(*(table[f"expiry_{lang}"] or table[f"on_expiry_{lang}"] for lang in ("zh", "en"))),
        ),
        (pick("存疑", "doubt"), table["doubt"]),
    )
    for label, value in facts:
        if value:
            typer.echo(f"    {label}: {value}")


def _dated(said: str) -> str:
    """A day or an instant as people write it, in Shanghai: 2026年2月28日 星期六."""
    at = datetime.fromisoformat(said)
    hour = ""
    if len(said) > len("2026-02-28"):
        from mediation.domain.calendar import SHANGHAI

        at = at.astimezone(SHANGHAI)
        hour = f" {at:%H:%M:%S}"
    zh, en = _WEEKDAYS[at.weekday()]
    return pick(f"{at.year}年{at.month}月{at.day}日 星期{zh}{hour}", f"{en} {at:%Y-%m-%d}{hour}")


def _short(said: str) -> str:
    return said if len(said) == len("2026-02-28") else said[:16].replace("T", " ") + "Z"


def _spans(years: list[int]) -> str:
    """`2004–2026`, years that follow each other as one."""
    spans: list[list[int]] = []
    for year in years:
        if spans and spans[-1][-1] == year - 1:
            spans[-1].append(year)
        else:
            spans.append([year])
    return "、".join(str(span[0]) if len(span) == 1 else f"{span[0]}–{span[-1]}" for span in spans) or "–"
