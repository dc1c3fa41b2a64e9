#!/usr/bin/env bash
# The API from a shell, following links: asks for the time, books a slot, is refused as a rival, and cancels.
# Needs curl and jq, and a scheduler:  sctec serve-all
# Usage: examples/agendar.sh [URL] [SLOT]
set -euo pipefail
url=${1:-http://127.0.0.1:5000}
url=${url%/}
slot=${2:-2031-03-14T15:$(printf '%02d' $((RANDOM % 12 * 5))):00Z}

get() { curl --silent --show-error --fail-with-body "$url$1"; }
send() { curl --silent --show-error -X "$1" -H 'Content-Type: application/json' -d "$3" "$url$2"; }

entry=$(get /)
echo "the links of the entry point: $(jq -r '._links | keys | join(", ")' <<<"$entry")"
echo "the official time:            $(get "$(jq -r ._links.hora.href <<<"$entry")" | jq -r .timestamp_utc)"

method=$(jq -r ._links.agendar.method <<<"$entry")
href=$(jq -r ._links.agendar.href <<<"$entry")
booking=$(send "$method" "$href" "{\"cientista_id\": 7, \"horario_inicio_utc\": \"$slot\", \"alvo\": \"M31\"}")
if [[ $(jq -r .status <<<"$booking") != AGENDADO ]]; then
    echo "not booked: $(jq -r '.detail, (.erros // [] | .[] | "  \(.campo) \(.mensagem)")' <<<"$booking")"
    exit 1
fi
echo "booked:                       $(jq -r '"number \(.id), \(.telescopio), \(.horario_inicio_utc)"' <<<"$booking")"

again=$(send "$method" "$href" "{\"cientista_id\": 1, \"horario_inicio_utc\": \"$slot\"}")
echo "a rival is told:              $(jq -r '"\(.status) \(.detail)"' <<<"$again")"

# The booking can be cancelled if it has the link.
method=$(jq -r ._links.cancelar.method <<<"$booking")
href=$(jq -r ._links.cancelar.href <<<"$booking")
cancelled=$(send "$method" "$href" '{"motivo": "nuvens de poeira"}')
echo "cancelled:                    $(jq -r '"\(.status) at \(.cancelado_em_utc)"' <<<"$cancelled")"
echo "and can it be cancelled now?  $(jq -r 'if ._links.cancelar then "yes" else "no link, so no" end' <<<"$cancelled")"
