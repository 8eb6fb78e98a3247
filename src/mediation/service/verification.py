"""Recomputes every chain from the stored bytes, folds every history, and says where the two part."""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple

import msgspec

from mediation.domain.errors import BrokenTrail, Reason
from mediation.domain.events import Event, evolve, load, parse
from mediation.domain.facts import Case
from mediation.domain.packs import digest_of
from mediation.domain.registering import LOG_ID, Erase, Recover, Register, name_digest, said
from mediation.domain.tallying import Summed, Sums, tallies
from mediation.gateway.vault import COMPROMISE, TEXT, UNDISPUTED, WORDS, Sealed, Vault
from mediation.service.findings import Failure, Tally, Trust, found
from mediation.service.placing import History, log_misplaced
from mediation.service.treeproof import prove_logs
from mediation.store.columns import columns_of
from mediation.store.trails import Erasure, StoredCase, StoredRegistry, StoredSeal, Trail, Trails, trails

_TEXTS = {WORDS, UNDISPUTED, COMPROMISE}
_MOST_LEVELS = 20  # as store/bodies.py follows them
_UNTOLD = Reason(
    "wrong_erasures", "删除记录与管理日志不符", "The erasures are not as the log of administration tells them"
)


class Report(NamedTuple):
    """What was verified, and what failed: a case each, in the order of the cases, then the trees in theirs.

    `entries` are those of the log of administration; `events` are the others. `leaves` are those of the tree of events,
    `accesses` of that of the access log; `checkpoints` of both, and the cosignatures of known witnesses on them.
    `signed`: whether signatures were looked at.
    """

    cases: int
    events: int
    failed: int
    failures: tuple[Failure, ...]
    entries: int = 0
    leaves: int = 0
    accesses: int = 0
    checkpoints: int = 0
    cosignatures: int = 0
    signed: bool = False
    opened: bool = False

    @property
    def sound(self) -> bool:
        return not self.failed


async def verify_database(
    reader_url: str,
    progress: Callable[[int, int], None] | None = None,
    *,
    trust: Trust | None = None,
    vault: Vault | None = None,
    growing: Callable[[int, int], None] | None = None,
) -> Report:
    """Verify one snapshot of everything: a case at a time, then both trees in the order of their leaves.

    `progress` is told cases done and cases in all, `growing` likewise leaves of both trees. Without `trust` no
    signature is looked at; without `vault` nothing that is sealed is opened. Raises: DatabaseUnreachable; BadNote, when
    a checkpoint in `trust` is not signed by a log that it believes.
    """
    cases = events = entries = 0
    tally = Tally()
    sums = Sums()
    async with trails(reader_url, sealed=vault is not None) as every:
        total, erasures = await every.count(), await every.erasures()
        of_case: dict[str, set[int]] = {}
        given: dict[tuple[str, int], int] = {}
        for erasure in erasures:
            of_case.setdefault(erasure.case_id, set()).add(erasure.subject)
        async for trail in every:
            if trail.case_id == LOG_ID:
                entries = len(trail.events)
                failure = verify_log(trail, await every.registry(), erasures)
            else:
                cases += 1
                events += len(trail.events)
                _count(trail, given)
                failure = verify_trail(trail, of_case.get(trail.case_id, set()), vault, sums)
                if progress:
                    progress(cases, max(total, cases))
            if failure:
                tally.add(failure)
        if not entries and (failure := verify_log(Trail(LOG_ID, None, [], []), await every.registry(), erasures)):
            tally.add(failure)
        if not tally.count:  # a history that is not whole has no counts of its own, nor a list
            made = sums.rows((await every.registry()).paths)
            tally.extend(_wrong_tallies(made, await every.tallies()))
            tally.extend([_wrong_list(*each) for each in await every.mislisted()])
        tally.extend([*_miscounted(given, await every.numbers()), *await _wrong_laws(every)])
        log, access, cosignatures = await prove_logs(every.logs, trust, tally, growing)
    checkpoints = log.checkpoints + access.checkpoints
    return Report(
        cases,
        events,
        tally.count,
        tuple(tally.named),
        entries,
        log.leaves,
        access.leaves,
        checkpoints,
        cosignatures,
        trust is not None,
        vault is not None,
    )


def verify_trail(
    trail: Trail, erased: AbstractSet[int] = frozenset(), vault: Vault | None = None, sums: Sums | None = None
) -> Failure | None:
    """The first thing that fails in a case: an event that does not follow, or a row that its history does not make.

    So does a value that was sealed and is gone, although its subject is not among the `erased`; and with the `vault`
    one that is no longer what was sealed. What its placed events count is added to `sums`.
    """
    number = trail.case.number if trail.case else ""
    case: Case | None = None
    first_at = ""
    sealed: set[str] = set()
    history = History()
    placed = {stored.id for stored in trail.events if stored.position is not None}

    def fold(event: Event) -> None:
        nonlocal case, first_at
        before, case = case, evolve(case, event)
        if sums is not None and event.event in placed:
            sums.add(tallies(before, case))
        first_at = first_at or event.at
        sealed.update(event.sd)
        history.take(event, case)

    failure = _broken(trail, number, fold)
    if failure:
        return failure
    reason = _row_reason(trail.case, case, first_at) or (
        (_vault_reason(trail.seals, case, sealed, erased) or _opening_reason(trail, vault)) if case else None
    )
    if reason:
        return Failure(trail.case_id, number, 0, "", reason)
    return history.misplaced(trail, number)


def verify_log(trail: Trail, stored: StoredRegistry, erasures: AbstractSet[Erasure] = frozenset()) -> Failure | None:
    """The first thing that fails in the log of administration: an entry, or a row that is not as the log left it."""
    register = Register()
    told: set[Erasure] = set()
    begun: dict[int, int] = {}

    def take(event: Event) -> None:
        register.take(event)
        entry = said(event)
        if isinstance(entry, Erase):
            told.update(Erasure(entry.case, subject, event.event) for subject in entry.subjects)
        elif isinstance(entry, Recover) and entry.log == "events":
            begun[event.seq] = entry.position

    failure = _broken(trail, "", take)
    reason = None if failure else _UNTOLD if told != erasures else _registry_reason(register, stored)
    return Failure(trail.case_id, "", 0, "", reason) if reason else failure or log_misplaced(trail, begun)


def _broken(trail: Trail, number: str, fold: Callable[[Event], None]) -> Failure | None:
    for stored in trail.events:
        try:
            event = parse(stored.data)
            fold(event)
        except BrokenTrail as broken:
            return Failure(trail.case_id, number, stored.seq, stored.id, broken.reasons[0])
        except (msgspec.MsgspecError, LookupError, TypeError, ValueError) as broken:
            said = Reason("cannot_fold", f"事件无法折叠：{broken}", f"The event cannot be folded: {broken!r}")
            return Failure(trail.case_id, number, stored.seq, stored.id, said)
        if (event.event, event.case) != (stored.id, trail.case_id):
            said = Reason("misfiled", "事件与其所在行不符", "The event is not the one its row says")
            return Failure(trail.case_id, number, stored.seq, stored.id, said)
    return None


def _vault_reason(
    seals: Sequence[StoredSeal], case: Case, sealed: AbstractSet[str], erased: AbstractSet[int]
) -> Reason | None:
    """What the vault lacks of all that was sealed in a case, or holds under another name, or beside it.

    An event does not say whose a digest is: each party has one, and the others are of the case's text.
    """
    found = {seal.digest for seal in seals}
    there = {seal.subject for seal in seals}
    lost = sorted({party.id for party in case.parties} - there - erased)
    if lost and sealed:
        zh, en = "、".join(map(str, lost)), ", ".join(map(str, lost))
        return Reason(
            "sealed_lost", f"当事人{zh}的个人信息不在保险库，也未经删除", f"Of parties {en} nothing is in the vault"
        )
    gone = len(sealed - found) - len(erased - there - {TEXT})
    if gone > 0 and TEXT not in erased:
        return Reason(
            "sealed_lost", f"{gone}份文字不在保险库，也未经删除", f"{gone} texts of the case are not in the vault"
        )
    for seal in seals:
        named = _TEXTS if seal.subject == TEXT else {f"party_{seal.subject}"}
        if seal.digest not in sealed or seal.name not in named or not seal.keyed:
            zh = f"保险库中的 {seal.name} 与历史不符或缺少密钥"
            en = f"The vault's {seal.name} is not of the history, or has no key"
            return Reason("wrong_seal", zh, en)
    return None


def _opening_reason(trail: Trail, vault: Vault | None) -> Reason | None:
    if vault is None:
        return None
    for seal in trail.seals:
        try:
            row = Sealed(seal.subject, seal.digest, seal.name, seal.sealed, b"", seal.wrapped or b"")
            index = vault.index(seal.name, vault.open(trail.case_id, row))
        except (BrokenTrail, ValueError):  # the latter of a value too short to be one
            zh = f"保险库中的 {seal.name} 不是当时封存的内容"
            en = f"The vault's {seal.name} is not what was sealed"
            return Reason("wrong_seal", zh, en)
        if index != (seal.blind or b"", seal.blind_id or b"", tuple(seal.grams or ())):
            zh = f"保险库中 {seal.name} 的检索索引与封存的内容不符：查重、检索会漏掉本案"
            en = f"The index of the vault's {seal.name} is not of what was sealed: the case is not found by it"
            return Reason("wrong_index", zh, en)
    return None


def _registry_reason(register: Register, stored: StoredRegistry) -> Reason | None:
    """The first row of the registry that is not as the log left it, is missing, or that the log never put there."""
    divisions = {key: (row.code, row.level, row.name_sha256, row.parent) for key, row in register.divisions.items()}
    bodies = {key: msgspec.structs.astuple(row) for key, row in register.organisations.items()}
    identities = {key: some for key, some in register.identities.items() if some}
    compared: tuple[tuple[str, str, str, Mapping[Any, object], Mapping[Any, object]], ...] = (
        ("wrong_division", "区划", "Division", divisions, {key: _dub(row) for key, row in stored.divisions.items()}),
        ("wrong_body", "单位", "Body", bodies, {key: _as_logged(row) for key, row in stored.organisations.items()}),
        ("wrong_person", "人员", "Person", register.people, stored.people),
        ("wrong_membership", "任职（人员、单位）", "Membership", register.memberships, stored.memberships),
        ("wrong_identity", "登录标识，人员", "The identities of", identities, stored.identities),
        ("wrong_path", "上级路径，单位", "The superiors of", _paths(stored.organisations), stored.paths),
    )
    for code, zh, en, told, there in compared:
        differ = min((key for key in told.keys() | there.keys() if told.get(key) != there.get(key)), default=None)
        if differ is not None:
            named = ", ".join(differ) if isinstance(differ, tuple) else differ
            return Reason(
                code, f"{zh} {named} 与管理日志不符", f"{en} {named}: not as the log of administration left it"
            )
    return None


def _as_logged(row: tuple[Any, ...]) -> tuple[Any, ...]:
    id_, code, name, name_en, *rest = row
    return (id_, code, name_digest(name, name_en), *rest)


def _dub(row: tuple[str, ...]) -> tuple[str, ...]:
    code, level, name, parent = row
    return code, level, name_digest(name, ""), parent


def _paths(organisations: Mapping[str, tuple[Any, ...]]) -> dict[str, list[str]]:
    """The superiors of each body, nearest first: as many levels as are followed."""
    above = {id_: superior for id_, *_, superior, _ in organisations.values()}
    paths = {}
    for id_, superior in above.items():
        path, upper = list[str](), superior
        while upper and len(path) < _MOST_LEVELS:
            path.append(upper)
            upper = above.get(upper, "")
        paths[id_] = path
    return paths


def _count(trail: Trail, given: dict[tuple[str, int], int]) -> None:
    """Note the number of a case as given by its body in its year."""
    code, year, serial = trail.case.number.rsplit("-", 2) if trail.case else ("", "", "")
    if year.isdecimal() and serial.isdecimal():  # else the row is wrong, and was found to be
        given[code, int(year)] = max(given.get((code, int(year)), 0), int(serial))


def _miscounted(given: Mapping[tuple[str, int], int], last: Mapping[str, Mapping[int, int]]) -> list[Failure]:
    """Bodies that would give a number again. A code that no body has begins no number any more."""
    return [
        found(
            "wrong_number",
            f"单位 {code} {year}年的案号已给到{most}，而计数为{counted}：号码会重复",
            f"{code} gave the number {most} in {year}, and counts {counted}: it would be given twice",
        )
        for (code, year), most in sorted(given.items())
        if (counted := last.get(code, {year: most}).get(year, 0)) < most
    ]


def _wrong_tallies(made: Sequence[Summed], stored: Sequence[Summed]) -> list[Failure]:
    """Counts of bodies that their events do not make, or that are lacking."""
    known = {row[:4]: row for row in stored}
    told = {row[:4]: row for row in made}
    return [
        found(
            "wrong_tallies",
            f"统计 {_named(key)} 与历史不符：表中{_count_of(there)}，按历史应为{_count_of(here)}",
            f"The count {_named(key)} is {_count_of(there)}, and {_count_of(here)} by the histories",
        )
        for key in sorted(known.keys() | told.keys())
        if (there := known.get(key)) != (here := told.get(key))
    ]


def _named(key: tuple[str, int, str, str]) -> str:
    org, year, category, what = key
    return f"{org} {year} {category or '*'} {what}"


def _wrong_list(case: str, where: str) -> Failure:
    return found(
        "wrong_lists",
        f"案件 {case} 未按其现状列入 {where} 的清单或索引",
        f"The case {case} is not listed at {where} as it stands",
    )


def _count_of(row: Summed | None) -> str:
    return f"{row.many} {row.days}" if row and row.days else str(row.many if row else 0)


async def _wrong_laws(every: Trails) -> list[Failure]:
    """Each set of laws whose files do not make the digest that events name."""
    wrong = []
    async for digest, files in every.law_sets():
        texts = isinstance(files, dict) and all(isinstance(text, str) for text in files.values())
        if not texts or digest_of(files)[1] != digest:
            zh, en = (
                f"法规集 {digest} 的文件与其摘要不符",
                f"The files of the set of laws {digest} do not make its digest",
            )
            wrong.append(found("wrong_laws", zh, en))
    return wrong


def _row_reason(stored: StoredCase | None, folded: Case | None, first_at: str) -> Reason | None:
    if stored is None:
        return Reason("no_case", "有历史而无案件", "There is a history, but no case")
    if folded is None:
        return Reason("no_history", "有案件而无历史", "There is a case, but no history")
    try:
        facts = load(stored.facts)
    except msgspec.MsgspecError as broken:
        return Reason("bad_document", "案件文档无法读取", f"The document of the case cannot be read: {broken}")
    if facts != folded:
        differ = [name for name in Case.__struct_fields__ if getattr(facts, name) != getattr(folded, name)]
        zh, en = "、".join(differ), ", ".join(differ)
        return Reason("wrong_document", f"案件文档与历史不符：{zh}", f"The document differs from the history: {en}")
    expected = columns_of(folded)._asdict() | {"version": folded.version, "number": folded.number, "filed_at": first_at}
    found = stored.columns._asdict() | {
        "version": stored.version,
        "number": stored.number,
        "filed_at": stored.filed_at,
    }
    wrong = [name for name, value in expected.items() if found[name] != value]
    if wrong:
        zh, en = "、".join(wrong), ", ".join(wrong)
        return Reason("wrong_columns", f"案件索引列与历史不符：{zh}", f"Columns differ from the history: {en}")
    return None
