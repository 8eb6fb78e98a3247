#!/bin/sh
# Verifies the bundle of a case: this is the whole history, in order, unaltered, as the log has signed it.
# 校验案件卷宗包：全部事件齐全、有序、未经改动，与日志签名相符。
#
#   sh verify.sh [VKEY …]      in the unpacked folder 在解开的文件夹中执行
#
# A bundle may come from the very people it is to be checked against, and then this file in it does too: take it from
# somewhere else, as the key, and run that one here. 若卷宗包来自被校验的一方，请勿使用包内的本程序，应另行取得。
# VKEY is a key of the log (name+id+base64) as its operator has published it, or of a witness that must have cosigned.
# Without one the key in log.vkey is used: that shows that the bundle agrees with itself, not whose it is.
# Needs: a POSIX shell, OpenSSL 3.0 or newer, coreutils (base64 cat mktemp od rm sha256sum tr wc); no network.
# Ends with 0: verified; 1: it fails, the first event that fails is named; 2: it could not be tried.
# Formats: RFC 6962 §2.1 (tree), C2SP signed-note, tlog-checkpoint, tlog-proof; RFC 9901 §4.2 (disclosures).

set -uf
LC_ALL=C
export LC_ALL
nl='
'

fail() { # zh, en
  printf '✗ %s\n✗ %s\n' "$1" "$2"
  exit 1
}

stop() { # zh, en
  printf '%s\n%s\n' "$1" "$2" >&2
  exit 2
}

event_fails() { # zh, en: event $n fails
  fail "第${n}号事件：$1" "event $n: $2"
}

# ── bytes ──

to_hex() { od -An -v -tx1 | tr -d ' \n'; }

octal() { # hex → $octets: the same bytes as escapes for printf
  octets='' rest=$1
  while [ -n "$rest" ]; do
    after=${rest#??}
    byte=$((0x${rest%"$after"}))
    octets=$octets\\$((byte / 64))$((byte / 8 % 8))$((byte % 8))
    rest=$after
  done
}

put() { # hex, file
  octal "$1"
  # shellcheck disable=SC2059  # the escapes are the bytes
  printf "$octets" >"$2"
}

node() { # left, right (hex) → $hash of the inner node
  octal "01$1$2"
  # shellcheck disable=SC2059  # the escapes are the bytes
  hash=$(printf "$octets" | sha256sum)
  hash=${hash%% *}
}

is_hash() { # whether this is 32 bytes in canonical base64
  case $1 in
    *[!A-Za-z0-9+/=]*) false ;;
    *[AEIMQUYcgkosw048]=) [ ${#1} -eq 44 ] ;;
    *) false ;;
  esac
}

is_base64() { # canonical, and not empty
  case $1 in '' | *[!A-Za-z0-9+/=]*) false ;; *) [ "$(printf %s "$1" | base64 -d 2>/dev/null | base64 | tr -d '\n')" = "$1" ] ;; esac
}

is_case() { # a UUID in lower case
  h='[0-9a-f]'
  four=$h$h$h$h
  case $1 in $four$four-$four-$four-$four-$four$four$four) ;; *) false ;; esac
}

is_number() { # decimal, no leading zero, small enough for the arithmetic of a shell
  case $1 in
    '' | *[!0-9]* | 0?*) false ;;
    *) [ ${#1} -le 18 ] ;;
  esac
}

take() { # file → $content with every byte of it, or false: none, or one that holds a NUL
  [ -f "$1" ] || return 1
  content=$(cat "$1" && printf .) 2>/dev/null || return 1
  content=${content%.}
  [ "$(wc -c <"$1")" -eq ${#content} ]
}

first_line() { # text → $line, and $more behind it
  line=${1%%"$nl"*}
  more=${1#*"$nl"}
}

# ── keys and notes ──

open_key() { # vkey → $key_name, $key_id, $kind, $public; false if it is none that we know
  key_name=${1%%+*} key_id=${1#*+}
  coded=${key_id#*+} key_id=${key_id%%+*}
  public=$(printf %s "$coded" | base64 -d 2>/dev/null | to_hex)
  kind=${public%"${public#??}"} public=${public#??}
  [ -n "$key_name" ] && [ ${#public} -eq 64 ] || return 1
  case $kind in 01 | 04) ;; *) return 1 ;; esac
  octal "$kind$public"
  # shellcheck disable=SC2059  # the escapes are the bytes
  digest=$({ printf '%s\n' "$key_name" && printf "$octets"; } | sha256sum)
  [ "$key_id" = "${digest%"${digest#????????}"}" ]
}

signature_holds() { # signature (hex), of the text in $work/text, by the key that open_key found
  signature=$1 signed=$work/text
  if [ "$kind" = 04 ]; then # a cosignature: eight bytes of time, and the time stands before the text
    [ ${#signature} -eq 144 ] || return 1
    time=${signature%"${signature#????????????????}"}
    signature=${signature#????????????????}
    case $time in [89a-f]* | 0000000000000000) return 1 ;; esac
    signed=$work/cosigned
    { printf 'cosignature/v1\ntime %d\n' $((0x$time)) && cat "$work/text"; } >"$signed"
  fi
  [ ${#signature} -eq 128 ] || return 1
  put "302a300506032b6570032100$public" "$work/key"
  put "$signature" "$work/signature"
  openssl pkeyutl -verify -pubin -keyform DER -inkey "$work/key" -rawin -in "$signed" \
    -sigfile "$work/signature" >/dev/null 2>&1
}

open_note() { # note, what it is (zh), (en) → $text; $signers: the keys of $keys that signed it, a line each
  case $1 in *"$nl$nl"*"$nl") ;; *) fail "$2：不是签名文件" "$3: is not a signed note" ;; esac
  [ -z "$(printf %s "$1" | tr -cd '\001-\011\013-\037')" ] || fail "$2：不是签名文件" "$3: is not a signed note"
  text=${1%"$nl$nl"*}$nl signatures=${1##*"$nl$nl"} signers=$nl lines=0
  printf %s "$text" >"$work/text"
  while [ -n "$signatures" ]; do
    first_line "$signatures"
    signatures=$more
    case $line in '— '*' '*) ;; *) fail "$2：签名行格式不符" "$3: a line is not a signature" ;; esac
    line=${line#'— '} lines=$((lines + 1))
    { is_base64 "${line#* }" && [ "$lines" -le 64 ]; } || fail "$2：签名行格式不符" "$3: a line is not a signature"
    bytes=$(printf %s "${line#* }" | base64 -d 2>/dev/null | to_hex)
    for vkey in $keys; do
      open_key "$vkey"
      [ "$key_name $key_id" = "${line%% *} ${bytes%"${bytes#????????}"}" ] || continue
      signature_holds "${bytes#????????}" || fail "$2：$key_name 的签名无效" "$3: the signature of $key_name is wrong"
      signers=$signers$vkey$nl
    done
  done
}

signed_by_log() { # origin: whether a key of the log itself is among the $signers
  for vkey in $signers; do
    open_key "$vkey"
    [ "$kind $key_name" = "01 $1" ] && return 0
  done
  return 1
}

open_checkpoint() { # note, what it is (zh), (en) → $origin, $size, $root
  open_note "$1" "$2" "$3"
  first_line "$text"
  origin=$line
  first_line "$more"
  size=$line
  first_line "$more"
  { is_number "$size" && is_hash "$line"; } || fail "$2：不是检查点" "$3: is not a checkpoint"
  root=$(printf %s "$line" | base64 -d | to_hex)
  signed_by_log "$origin" || fail "$2：没有日志密钥的签名" "$3: is not signed by a key of the log"
}

# ── events ──

open_proof() { # $n's tlog-proof → $index, $path (hashes in hex, one behind the other)
  take "$(printf 'proofs/%04d.tlog-proof' "$n")" || event_fails '缺少日志证明' 'its proof is missing'
  case $content in
    'c2sp.org/tlog-proof@v1'"$nl"'index '*"$nl$nl"*) ;;
    *) event_fails '日志证明格式不符' 'its proof is malformed' ;;
  esac
  note=${content#*"$nl$nl"}
  first_line "${content%%"$nl$nl"*}$nl"
  first_line "$more"
  index=${line#index } lines=$more
  is_number "$index" || event_fails '日志证明格式不符' 'its proof is malformed'
  for one in $lines; do
    is_hash "$one" || event_fails '日志证明格式不符' 'its proof is malformed'
  done
  path=$(for one in $lines; do printf %s "$one" | base64 -d; done | to_hex)
}

earlier() { # whether $origin is what $log was called before it began anew: its name, at first without /epoch-N
  epochs=${log%/epoch-*} since=${log##*/epoch-}
  { [ "$epochs" != "$log" ] && is_number "$since"; } || return 1
  [ "$origin" = "$epochs" ] && return
  begun=${origin#"$epochs/epoch-"}
  [ "$begun" != "$origin" ] && is_number "$begun" && [ "$begun" -lt "$since" ]
}

key_of() { # origin: whether one of the $keys is a key of this log
  for vkey in $keys; do
    open_key "$vkey"
    [ "$kind $key_name" = "01 $1" ] && return
  done
  return 1
}

under_checkpoint() { # $note: the published one, or one of an earlier epoch of the log, under another name
  [ "$note" = "$opened" ] && return
  opened=$note
  if [ "$note" = "$published" ]; then
    origin=$log size=$tree root=$top
  else
    first_line "$note"
    origin=$line
    [ "$origin" = "$log" ] || earlier || event_fails '日志证明属于另一日志' 'its proof is of another log'
    key_of "$origin" || event_fails "还需要恢复之前的日志 $origin 的公钥：请一并给出" \
      "the key of $origin, the log before it began anew, is needed too: give every key published"
    open_checkpoint "$note" "第${n}号事件所依的检查点" "event $n: the checkpoint of its proof"
    [ "$origin" != "$log" ] || [ "$size $root" = "$tree $top" ] ||
      event_fails '日志证明所依的不是本包的检查点' 'its proof is not under the checkpoint of this bundle'
  fi
  [ "$origin" != "$epoch" ] || return
  passed=$passed$epoch$nl
  case $passed in *"$nl$log$nl"* | *"$nl$origin$nl"*)
    event_fails '在日志中排在前一事件之前' 'stands before the event before it in the log'
    ;;
  esac
  epoch=$origin at=-1
}

included() { # whether $leaf stands at $index in the tree of $size leaves with this $root (RFC 9162 §2.1.3.2)
  [ "$index" -lt "$size" ] || return 1
  here=$index last=$((size - 1)) hash=$leaf way=$path
  while [ -n "$way" ]; do
    [ "$last" -gt 0 ] || return 1
    after=${way#????????????????????????????????????????????????????????????????}
    beside=${way%"$after"} way=$after
    if [ $((here % 2)) -eq 1 ] || [ "$here" -eq "$last" ]; then
      node "$beside" "$hash"
      while [ $((here % 2)) -eq 0 ] && [ "$here" -gt 0 ]; do
        here=$((here / 2)) last=$((last / 2))
      done
    else
      node "$hash" "$beside"
    fi
    here=$((here / 2)) last=$((last / 2))
  done
  [ "$last" -eq 0 ] && [ "$hash" = "$root" ]
}

member() { # name → $value: a text among the members behind `basis`, which are all top level
  value=${members#*"\"$1\":\""}
  [ "$value" != "$members" ] && value=${value%%\"*}
}

check_event() {
  file=$(printf 'events/%04d.json' "$n")
  take "$file" || event_fails '缺少该事件' 'is missing'
  event=$content
  leaf=$({ printf '\000' && cat "$file"; } | sha256sum)
  leaf=${leaf%% *}
  open_proof
  under_checkpoint
  included ||
    event_fails '与日志不符：内容被改动，或证明不是它的' 'is not in the log as it stands here: altered, or not its proof'
  # Names are sorted, so `basis` follows all that a step can name by itself: nothing behind it can be taken for another.
  members=${event##*',"basis":['}
  seq=${members##*',"seq":'} seq=${seq%%,*}
  [ "$seq" = "$n" ] || event_fails '事件的序号不是它的位置' "says that it is number $(printf %s "$seq" | tr -cd 0-9)"
  { member case && [ "$value" = "$case_id" ]; } || event_fails '属于另一案件' 'belongs to another case'
  { member prev && [ "$value" = "$before" ]; } || event_fails '与前一事件不衔接' 'does not follow the event before it'
  { member from && [ "$value" = "$state" ]; } ||
    event_fails '起始状态不是前一事件的结果' 'does not begin in the state of the event before it'
  [ "$index" -gt "$at" ] || event_fails '在日志中排在前一事件之前' 'stands before the event before it in the log'
  member to || event_fails '缺少结果状态' 'says no state'
  before=$leaf state=$value at=$index
  case $event in
    '{"_sd":['*) digests=$digests,${event#'{"_sd":['} digests=${digests%%]*} ;;
  esac
}

no_more() { # folder, ending, count: nothing else is in it
  set +f
  for found in "$1"/* "$1"/.[!.]* "$1"/..?*; do
    [ -e "$found" ] || [ -h "$found" ] || continue
    number=${found#"$1"/} number=${number%."$2"}
    while [ "${number#0}" != "$number" ]; do number=${number#0}; done
    if is_number "$number" && [ "$number" -le "$3" ] && [ "$found" = "$1/$(printf %04d "$number").$2" ]; then
      continue
    fi
    shown=$(printf %s "$found" | tr -cd 'A-Za-z0-9._/-')
    [ "$1" != disclosures ] && is_number "$number" && n=$number &&
      event_fails "多余的文件 $shown" "a file too many, $shown"
    fail "多余的文件 $shown" "a file too many: $shown"
  done
  set -f
}

# ── disclosures ──

check_disclosures() { # each is one whose digest an event holds, or a party that was disclosed before it; → $count
  count=0
  while take "$(printf 'disclosures/%04d.txt' $((count + 1)))"; do
    count=$((count + 1))
    case $content in '' | *[!A-Za-z0-9_-]*) disclosure_fails "$count" ;; esac
    digest=$(printf %s "$content" | openssl dgst -sha256 -binary | base64 | tr '/+' '_-' | tr -d '=\n')
    case $digests in *"\"$digest\""*) ;; *) disclosure_fails "$count" ;; esac
    while [ $((${#content} % 4)) -gt 0 ]; do content=$content=; done
    plain=$(printf %s "$content" | tr '_-' '/+' | base64 -d 2>/dev/null | tr -d ' \0') || disclosure_fails "$count"
    case $plain in # inside a text a quotation mark has a backslash before it, so this can only be the member itself
      *'"_sd":['*) digests=$digests,${plain#*'"_sd":['} digests=${digests%%]*} ;;
    esac
  done
}

disclosure_fails() {
  fail "第$1号明文：摘要不在任何事件中" "disclosure $1: no event holds its digest"
}

# ── the whole ──

case $(openssl version 2>/dev/null) in
  'OpenSSL '[3-9].* | 'OpenSSL '[1-9][0-9].*) ;;
  *) stop '需要 OpenSSL 3.0 或更新版本。' 'This needs OpenSSL 3.0 or newer.' ;;
esac
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
trap 'exit 2' HUP INT TERM

if [ $# -gt 0 ]; then
  keys=$*
else
  take log.vkey || fail '缺少 log.vkey' 'log.vkey is missing'
  keys=$content
fi
for vkey in $keys; do
  open_key "$vkey" && continue
  shown=$(printf %s "$vkey" | tr -d '\001-\037\177')
  fail "密钥不可用：$shown，应为 名称+标识+base64" "a key cannot be used: $shown; it is name+id+base64"
done

take checkpoint || fail '缺少 checkpoint：请在解开的文件夹中执行' 'checkpoint is missing: run this in the unpacked folder'
published=$content
open_checkpoint "$published" '检查点' 'the checkpoint'
log=$origin tree=$size top=$root witnesses=0
for vkey in $keys; do
  open_key "$vkey"
  [ "$kind" = 04 ] || continue
  case $signers in
    *"$nl$vkey$nl"*) witnesses=$((witnesses + 1)) ;;
    *) fail "检查点：见证人 $key_name 没有副署" "the checkpoint: the witness $key_name has not cosigned it" ;;
  esac
done

take head || fail '缺少 head：无从得知卷宗是否完整' 'head is missing: nothing says that the history is whole'
open_note "$content" '卷末凭证' 'the head'
signed_by_log "$log" || fail '卷末凭证：没有日志密钥的签名' 'the head: is not signed by a key of the log'
first_line "$text"
[ "$line" = "$log/head" ] || fail '卷末凭证：属于另一日志' 'the head: is of another log'
first_line "$more"
case_id=$line
first_line "$more"
events=$line
first_line "$more"
end=$line
first_line "$more"
{ [ -z "$more" ] && is_case "$case_id" && is_number "$events" && [ "$events" -gt 0 ] && is_hash "$end"; } ||
  fail '卷末凭证：格式不符' 'the head: is malformed'
[ "$line" = "$tree" ] || fail '卷末凭证：与检查点不是同一时点' 'the head: is not of the same moment as the checkpoint'
end=$(printf %s "$end" | base64 -d | to_hex)

opened='' epoch='' passed=$nl at=-1 digests='' state=new n=0
before=0000000000000000000000000000000000000000000000000000000000000000
while [ "$n" -lt "$events" ]; do
  n=$((n + 1))
  check_event
done
[ "$leaf" = "$end" ] || event_fails '不是卷末凭证所载的末一事件' 'is not the last event that the head names'
no_more events json "$events"
no_more proofs tlog-proof "$events"
check_disclosures
no_more disclosures txt "$count"

printf '✓ 案件 %s：%d个事件，齐全、有序、未经改动\n' "$case_id" "$events"
printf '✓ case %s: whole, in order, unaltered; events: %d\n' "$case_id" "$events"
printf '  日志 the log: %s, %d leaves; 副署 cosignatures checked: %d; 明文 disclosures: %d\n' \
  "$log" "$tree" "$witnesses" "$count"
if [ $# -eq 0 ]; then
  printf '  ! 所用密钥取自包内 log.vkey：请与日志运营方公布的密钥核对，或执行 sh verify.sh <公布的密钥>\n'
  printf '  ! The key is that of log.vkey in this bundle: compare it with the one published, or give that one.\n'
fi
set +f # what else lies in the folder, as where it was unpacked among other files, was not looked at
for found in * .[!.]* ..?*; do
  [ -e "$found" ] || [ -h "$found" ] || continue
  case $found in checkpoint | head | log.vkey | verify.sh | VERIFY.md | events | proofs | disclosures) continue ;; esac
  shown=$(printf %s "$found" | tr -d '\001-\037\177')
  printf '  ! 不属于本包，未经校验：%s\n  ! No part of the bundle, and not verified: %s\n' "$shown" "$shown"
done
