"""Everything that can be refused, as one tree.

MediationError
├── NotFound            absent, or not this actor's to know about
├── NotPermitted        role or relation may not take this step
├── Malformed           understood, but names something that is not there or not clear
│   └── KeyReused       the idempotency key was used for another request
├── Refused             well formed, but the rules say no
│   ├── ActionUnavailable   no such step from this state
│   └── GuardRefused        every guard that refused, with its reason
├── Conflict            somebody else was first
│   ├── StaleVersion    the case has moved on
│   └── KeyInFlight     the same key is being answered right now
└── BrokenTrail         a stored history does not hold together
    ├── BadProof        a proof of the log, a tile or a bundle is malformed or does not lead to its root
    └── BadNote         a signed note, a checkpoint or a key is malformed, or signed by nobody known

Status codes are not chosen here: `http/problems.py` alone knows them.
"""

from typing import NamedTuple


class Reason(NamedTuple):
    """Why something is refused: a stable code, the sentence in Chinese and English, and its legal basis.

    `guard` is the guard of the table that asked; `needs` the field of the command that would answer it, if one would.
    """

    code: str
    zh: str
    en: str
    basis: str = ""
    guard: str = ""
    needs: str = ""


class MediationError(Exception):
    """The root: a stable `code`, a sentence in Chinese and English, and every reason."""

    code = "error"
    zh = "请求未能完成"
    en = "The request could not be completed"

    def __init__(self, *reasons: Reason, zh: str = "", en: str = "") -> None:
        self.reasons = reasons
        self.zh = zh or (reasons[0].zh if reasons else type(self).zh)
        self.en = en or (reasons[0].en if reasons else type(self).en)
        super().__init__(f"{self.code}: {self.en}")

    def message(self, lang: str) -> str:
        """The sentence in `zh` or `en`."""
        return self.zh if lang == "zh" else self.en


class NotFound(MediationError):
    """Absent or invisible: the two look the same."""

    code = "not_found"
    zh = "未找到"
    en = "Not found"


class NotPermitted(MediationError):
    """The case is visible, the step is not this actor's to take."""

    code = "not_permitted"
    zh = "无权办理该事项"
    en = "Not yours to do"


class Malformed(MediationError):
    """The command names a leg, claim, party or body that does not exist, or leaves open which is meant."""

    code = "malformed"
    zh = "请求内容有误"
    en = "The request is malformed"


class KeyReused(Malformed):
    """The idempotency key was used before, for something else."""

    code = "key_reused"
    zh = "该幂等键已用于另一请求"
    en = "This idempotency key was used for another request"


class Refused(MediationError):
    """Well formed, but the rules say no."""

    code = "refused"
    zh = "依规则不予办理"
    en = "The rules say no"


class ActionUnavailable(Refused):
    """The process has no such step from this state."""

    code = "action_unavailable"
    zh = "当前状态下不能办理该事项"
    en = "This step is not available from this state"


class GuardRefused(Refused):
    """One or more guards refused; `reasons` names every one."""

    code = "guard_refused"
    zh = "办理条件未满足"
    en = "The conditions of this step are not met"


class Conflict(MediationError):
    """Somebody else was first."""

    code = "conflict"
    zh = "与其他办理冲突"
    en = "In conflict with another step"


class StaleVersion(Conflict):
    """The case has moved on since the version named."""

    code = "stale_version"
    zh = "案件已有新的办理记录，请刷新后重试"
    en = "The case has moved on; read it again and retry"


class KeyInFlight(Conflict):
    """The same idempotency key is being answered at this moment."""

    code = "key_in_flight"
    zh = "相同幂等键的请求正在处理"
    en = "A request with this idempotency key is in flight"


class BrokenTrail(MediationError):
    """A stored history does not hold together: named by case and event."""

    code = "broken_trail"
    zh = "案件历史校验失败"
    en = "The history of a case does not verify"


class BadProof(BrokenTrail):
    """A proof of the log, a tile or a bundle of entries is malformed or does not lead to its root."""

    code = "bad_proof"
    zh = "日志证明无效"
    en = "A proof of the log does not hold"


class BadNote(BrokenTrail):
    """A signed note, a checkpoint or a key is malformed, or the note is not signed by a known key."""

    code = "bad_note"
    zh = "签名文件无效"
    en = "A signed note does not verify"
