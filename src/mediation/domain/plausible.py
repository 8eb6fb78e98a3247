"""What every step must make sense of: the days and the people it names, and where the dispute lies."""

from collections.abc import Iterator
from datetime import date

from mediation.domain import commands as c
from mediation.domain.errors import Reason
from mediation.domain.numbers import warnings_of
from mediation.domain.reasons import why
from mediation.domain.steps import Step

PAST = ("request_on", "occurred_on", "effective_on", "held_on", "on")
FUTURE = ("follow_up_on", "report_by", "answer_by")
_CITY_DIGITS = 4
_MOST_DOUBTS = 10


def plausible(step: Step) -> Iterator[Reason]:
    """What happened is not in the future, what is promised not in the past; who is named is there to do it."""
    yield from days(step)
    yield from births(step)
    yield from people(step)
    yield from place(step)
    yield from succeeds(step)


def days(step: Step) -> Iterator[Reason]:
    """Days on the right side of the day of the step."""
    command = step.command
    said = vars(command)  # what a model lacks it says at a high price
    for name in PAST:
        day = said.get(name)
        if isinstance(day, date) and day > step.on:
            yield why("day_in_future", f"{name} 不得晚于今日", f"{name} must not lie in the future", needs=name)
    for name in FUTURE:
        day = said.get(name)
        if isinstance(day, date) and day < step.on:
            yield why("day_past", f"{name} 不得早于今日", f"{name} must not lie in the past", needs=name)
    if isinstance(command, c.File) and command.occurred_on and command.occurred_on > (command.request_on or step.on):
        yield why("asked_before", "请求之日不得早于纠纷发生之日", "The request cannot come before the dispute")
    named = plan_of(command)
    if named and named.due_on < step.on:
        yield why("plan_past", "化解期限不得早于今日", "The plan's deadline must not lie in the past", "SCQ-53")
    if isinstance(command, c.Settle):
        effective = command.effective_on or step.on
        if any(owed.due_on < effective for owed in command.obligations):
            yield why(
                "due_before_effect", "履行日不得早于协议生效日", "Nothing is due before the agreement takes effect"
            )
        if command.effective_on and command.effective_on.isoformat() < step.here.filed_on:
            yield why("effect_before_filing", "生效日不得早于登记日", "It cannot take effect before it was filed here")


def succeeds(step: Step) -> Iterator[Reason]:
    """The case that a new one succeeds is there to be seen, and archived: until then its facts belong in it."""
    if isinstance(step.command, c.File) and step.command.successor_of and not (step.other and step.other.archived):
        yield why(
            "no_archived_case",
            "没有可承接的已归档案件；未归档的案件请凭案件码登记或恢复",
            "There is no archived case to succeed; one not yet archived is filed in by its case code, or reopened",
            needs="successor_of",
        )


def births(step: Step) -> Iterator[Reason]:
    """Nobody named is born after the day of the step, as far as their identity number says."""
    if any(party.born and party.born > step.on for party in joining(step.command)):
        yield why(
            "born_in_future", "证件号码中的出生日期晚于今日", "The day of birth in a number lies in the future",
            needs="id_number",
        )  # fmt: skip


def joining(command: c.Command) -> list[c.PartyIn]:
    """The parties a command brings, in the order of their numbers."""
    if isinstance(command, c.File):
        return command.parties
    return command.join if isinstance(command, c.ChangeParties) else []


def doubtful(command: c.Command, already: int) -> list[dict[str, int | str]]:
    """What is worth a second look in the numbers of a command's parties: `party`, its number in the case, and `code`.

    At most ten, so that an event of many parties keeps its limit.
    """
    found: list[dict[str, int | str]] = [
        {"party": number, "code": warning.code}
        for number, party in enumerate(joining(command), already + 1)
        if party.id_number
        for warning in warnings_of(party.paper, party.id_number)
    ]
    return found[:_MOST_DOUBTS]


def plan_of(command: c.Command) -> c.PlanIn | None:
    """The 四有 a command names."""
    if isinstance(command, c.Prepare):
        return command.plan
    return command.prepare if isinstance(command, c.Accept) else None


def named_people(command: c.Command) -> tuple[str, ...]:
    """Ids of the people a command names."""
    named = plan_of(command)
    found = [named.leader, named.handler] if named else []
    if isinstance(command, c.Appoint):
        found += command.mediators
    if isinstance(command, c.Note) and command.countersigned_by:
        found.append(command.countersigned_by)
    if isinstance(command, c.TakeCharge) and command.leader:
        found.append(command.leader)
    return tuple(dict.fromkeys(str(person) for person in found))


def people(step: Step) -> Iterator[Reason]:
    """A handler or mediator is of the body, a leader of it or of a superior, a countersigner somebody we know."""
    command, org = step.command, step.orgs.get(step.leg.org if step.leg else step.actor.org)
    if org is None:
        return
    line = {org.id, *org.path}
    named = plan_of(command)
    wanted: list[tuple[str, set[str], str, str]] = []
    if named:
        wanted += [
            (str(named.leader), line, "包案领导须是本单位或上级单位人员", "The leader is of the body or of a superior"),
            (str(named.handler), {org.id}, "承办人须是本单位人员", "The handler is of the body"),
        ]
    if isinstance(command, c.Appoint):
        wanted += [(str(m), {org.id}, "调解员须是本单位人员", "A mediator is of the body") for m in command.mediators]
    if isinstance(command, c.TakeCharge) and command.leader:
        wanted.append((str(command.leader), line, "包案领导须是上级单位人员", "Who takes charge is of a superior body"))
    for person, bodies, zh, en in wanted:
        if not step.people.get(person, frozenset()) & bodies:
            yield why("not_of_the_body", zh, en, "SCQ-53")
    if isinstance(command, c.Note) and command.countersigned_by and str(command.countersigned_by) not in step.people:
        yield why("no_such_person", "会签人不存在", "There is no such person to countersign", "FRM")


def place(step: Step) -> Iterator[Reason]:
    """A dispute is filed, or corrected, to a division of the body's own city: elsewhere nobody would see it."""
    command = step.command
    division = getattr(command, "division", None) if isinstance(command, c.File | c.Correct) else None
    if division and not division.startswith(step.org.division.rstrip("0")[:_CITY_DIGITS]):
        yield why("foreign_division", "区划不在本单位所在市", "The division is not of this body's city", "PMR-21")
