#!/bin/bash
# Takes a laboratory down when its owner dies, however it dies: waits on a pipe whose other end only the owner holds.
# usage: guardian.sh NODE TEARDOWN_PROGRAM STATE_FILE   (a line on stdin: the owner has taken it down itself)
if read -r _; then exit 0; fi
exec "$1" "$2" "$3"
