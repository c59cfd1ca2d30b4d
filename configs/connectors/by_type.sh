#!/bin/sh
# A connector for siemd (output type exec) that appends each event to a file
# named after its type. It needs jq.
#
#     outputs:
#       folders:
#         type: exec
#         command: [/usr/share/siemd/connectors/by_type.sh, /var/lib/siemd/by-type]
#
# One request a line comes in: {"seq":17,"event":{...}}. One answer a line goes
# out, to standard output; standard error goes to siemd's log.
set -u
dir=$1
mkdir -p "$dir" || exit 78 # 78: a person must look at it, the events wait

while IFS= read -r request; do
	seq=$(printf '%s\n' "$request" | jq -r .seq)
	type=$(printf '%s\n' "$request" | jq -r '.event.event_type // "none" | tostring')

	# The type comes from outside: it must not choose a path.
	case $type in
	*[!a-z0-9_]* | '')
		printf '{"seq":%s,"error":"event_type is no file name","permanent":true}\n' "$seq"
		continue
		;;
	esac

	if printf '%s\n' "$request" | jq -c .event >>"$dir/$type.jsonl"; then
		printf '{"seq":%s,"ok":true}\n' "$seq"
	else
		# No "permanent": the same event comes again later.
		printf '{"seq":%s,"error":"cannot write the file"}\n' "$seq"
	fi
done
