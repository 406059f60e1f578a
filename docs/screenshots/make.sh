#!/usr/bin/env bash
# Takes the README's pictures from the real program: the demo archive in xterm with sixel, under Xvfb.
# Needs xvfb, xterm, xdotool and imagemagick. Usage: docs/screenshots/make.sh [TUIPACS]
set -euo pipefail
folder=$(cd "$(dirname "$0")" && pwd)
tuipacs=$(realpath "${1:-.venv/bin/tuipacs}")
export DISPLAY=:87 HOME
HOME=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null; rm -rf "$HOME"' EXIT

Xvfb "$DISPLAY" -screen 0 1400x1000x24 >/dev/null 2>&1 &
sleep 1
xterm -ti vt340 -xrm 'XTerm*numColorRegisters: 256' -fa 'DejaVu Sans Mono' -fs 10 -bg black -fg white \
    -geometry 160x44+0+0 -e "$tuipacs" demo >/dev/null 2>&1 &
sleep 25 # the demo makes its studies

keys() { for key in "$@"; do xdotool key "$key"; sleep 0.3; done; }
words() { xdotool type --delay 20 "$1"; sleep 0.3; }
shot() {
    sleep 3
    import -window root "$HOME/root.png"
    convert "$HOME/root.png" -trim +repage -bordercolor black -border 6 -strip -colors 200 "$folder/$1.png"
}

words radiologist; keys Tab; words pixels-and-names; keys Return
sleep 4
keys l j l j # a patient, a study, a series
shot archive
keys Escape slash; words DEMO-0005; keys Return; sleep 1
keys p; shot preview
keys Escape i; shot elements
keys Escape Escape g i; sleep 20; shot incoming
keys colon; words logout; keys Return; sleep 3
words admin; keys Tab; words pixels-and-names; keys Return; sleep 4
keys g l v; shot audit

# Another archive beside it, to be asked and sent to. It holds pydicom's test files.
demo=$(dirname "$(ls -t /tmp/tuipacs-demo-*/archive.toml /tmp/tuipacs-demo-*/*/archive.toml 2>/dev/null | head -1)")
export TUIPACS_USER=admin TUIPACS_PASSWORD=pixels-and-names
read -r demo_title demo_port < <("$tuipacs" --archive "$demo" status --json | python3 -c '
import json, sys
status = json.load(sys.stdin)
health = status.get("health", status)
print(health["ae_title"], health["port"])')
echo "$TUIPACS_PASSWORD" | "$tuipacs" --archive "$HOME/n" init --admin admin --password-stdin --ae-title NEIGHBOUR --port 11555 >/dev/null
"$tuipacs" --archive "$HOME/n" serve >/dev/null 2>&1 &
sleep 4
"$tuipacs" --archive "$HOME/n" import "$(dirname "$tuipacs")"/../lib/python3*/site-packages/pydicom/data/test_files >/dev/null 2>&1 || true
"$tuipacs" --archive "$HOME/n" node add "$demo_title" --host 127.0.0.1 --port "$demo_port" --service echo,store,query,move,get,commit >/dev/null
"$tuipacs" --archive "$demo" node add NEIGHBOUR --host 127.0.0.1 --port 11555 --service echo,store --call echo,send,query,get,commit --rate 900 >/dev/null
keys g n; shot nodes
keys g q; sleep 2; words 'comp*'; keys Return; sleep 3; shot query
keys Escape Escape g a; keys slash; words DEMO-000; keys Return; sleep 1
keys space j space j; keys s; sleep 2; keys Tab space Tab Tab Tab Return; sleep 2
keys g j; sleep 4; keys Return; shot jobs
