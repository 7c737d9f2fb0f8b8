"""What is run in a container to see it as Claude does. It leaves nothing behind."""

SCRIPT = r"""
w=$1 admin=$2 common=$3 s=$4
shift 4
c=${CLAUDE_CONFIG_DIR:-$HOME/.claude}
say() { printf '%s %s\n' "$1" "$(printf '%s' "$2" | tr '\n' ' ' | head -c 300)"; }
creates() { # DIRECTORY: whether a file can be made there
  t=$1/.mooring-doctor.$$
  if [ -d "$1" ] && (set -C; umask 077; : >"$t") 2>/dev/null; then rm -f "$t"; echo yes
  else echo no; fi
}
opens() { if [ -f "$1" ] && (: >>"$1") 2>/dev/null; then echo yes; else echo no; fi; }
quiet() { GIT_OPTIONAL_LOCKS=0 git -C "$w" -c core.fsmonitor=false "$@" 2>&1; }

say uid "$(id -u)"
say time "$(date +%s)"
say config "${CLAUDE_CONFIG_DIR-}"
say projects "$(creates "$c/projects")"
i=$(ls -di "$c/projects" 2>/dev/null)
say inode "${i%% */*}"
if [ -w "$w" ]; then say worktree yes; else say worktree no; fi
say admin "$(creates "$admin")"
say hooks "$(creates "$common/hooks")"
say git-config "$(opens "$common/config")"
if ! command -v git >/dev/null; then say git 'there is no git'
elif ! why=$(quiet status --porcelain); then say git "$why"
elif ! why=$(quiet rev-parse HEAD); then say git "$why"
else say head "$why"; fi
if command -v claude >/dev/null; then say claude "$(claude --version 2>&1 </dev/null)"; fi
for f in "$c"/projects/*/"$s.jsonl"; do
  if [ -e "$f" ] || [ -L "$f" ]; then
    m=
    if [ -r "$f" ]; then m=r; fi
    if [ -w "$f" ]; then m=${m}w; fi
    d=${f%/*}
    say transcript "${m:--} ${d##*/}"
  fi
done
for v; do
  eval "x=\${$v-}"
  if [ -n "$x" ]; then say variable "$v"; fi
done
if [ -s "$c/.credentials.json" ]; then say login yes; fi
if grep -q '"apiKeyHelper"' "$c/settings.json" 2>/dev/null; then say helper yes; fi
say days "$(sed -n 's/.*"cleanupPeriodDays"[[:space:]]*:[[:space:]]*\([0-9]\{1,9\}\).*/\1/p' \
  "$c/settings.json" 2>/dev/null)"
echo end
"""
