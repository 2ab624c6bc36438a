#!/bin/sh
# Runs a program that must not outlive its starter. File descriptor 3 is a socket whose other end only the
# starter has open: when the starter dies, `cat` sees its end, and the program gets SIGTERM and, if it has not
# ended after 15 s (75 looks, 0.2 s apart), SIGKILL. The program's process id is written to the same socket.
trap '' INT HUP
"$@" 3<&- &
p=$!
# The starter may be gone already: writing to it must not end the guard before it has done its work.
trap '' PIPE
echo $p >&3
trap 'kill -TERM $p 2>/dev/null' TERM
(
  cat <&3 >/dev/null
  kill -CONT $p 2>/dev/null
  kill -TERM $p 2>/dev/null
  n=0
  while kill -0 $p 2>/dev/null && [ $n -lt 75 ]; do sleep 0.2; n=$((n + 1)); done
  kill -KILL $p 2>/dev/null
) &
w=$!
exec 3<&-
# `wait` also returns when a signal arrives: only a program that is gone ends the guard.
wait $p
rc=$?
while kill -0 $p 2>/dev/null; do
  wait $p
  rc=$?
done
kill $w 2>/dev/null
exit $rc
