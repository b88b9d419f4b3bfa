#!/usr/bin/env bash
# A function, and a job that executes it every two seconds, three times: the API of Qinling with nothing but curl.
#
#     jobyard serve --dev &
#     examples/qinling/hello.sh http://localhost:8080
set -euo pipefail

url=${1:-http://localhost:8080}
here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

ask() { curl --fail-with-body --silent --show-error --header 'X-Auth-Token: anything' "$@"; }
pick() { python3 -c "import json, sys; answer = json.load(sys.stdin); print($1)"; }

python3 -m zipfile -c "$scratch/hello.zip" "$here/main.py"
runtime=$(ask "$url/v1/runtimes" | pick 'answer["runtimes"][0]["id"]')
function=$(ask --form name=hello --form "runtime_id=$runtime" --form 'code={"source": "package"}' \
    --form "package=@$scratch/hello.zip" "$url/v1/functions" | pick 'answer["id"]')
job=$(ask --json '{"function_id": "'"$function"'", "pattern": "* * * * * */2", "count": 3,
    "function_input": "{\"name\": \"Ann\"}"}' "$url/v1/jobs" | pick 'answer["id"]')

until [[ $(ask "$url/v1/jobs/$job" | pick 'answer["status"]') = done ]]; do sleep 0.5; done
executions="$url/v1/executions?description=has:$job"
until [[ $(ask "$executions&status=running" | pick 'len(answer["executions"])') = 0 ]]; do sleep 0.5; done

ask "$executions" | pick '"\n".join(one["status"] + " " + one["result"] for one in answer["executions"])'
newest=$(ask "$executions" | pick 'answer["executions"][-1]["id"]')
ask "$url/v1/executions/$newest/log"
ask --request DELETE "$url/v1/jobs/$job"
ask --request DELETE "$url/v1/functions/$function"
