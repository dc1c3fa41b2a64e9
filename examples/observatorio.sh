#!/usr/bin/env bash
# An observatory from nothing, by links alone: a telescope with rules, a proposal, a maintenance, what they do to bookings, and a waiting list.
# Needs curl, jq and GNU date, and a scheduler that asks nobody who they are:  sctec serve-all
# Usage: examples/observatorio.sh [URL]
set -euo pipefail
url=${1:-http://127.0.0.1:5000}
url=${url%/}

get() { curl --silent --show-error --fail-with-body "$url$1"; }
send() { curl --silent --show-error -X "$1" -H 'Content-Type: application/json' -d "$3" "$url$2"; }
# The address of a link of an answer, without its template.
href() { jq -er "._links.$2.href | sub(\"[{].*\"; \"\")" <<<"$1"; }
# Does what a link says, with a body.
follow() { send "$(jq -er "._links.$2.method // \"GET\"" <<<"$1")" "$(href "$1" "$2")" "$3"; }
# Follows a link that only reads.
open() { get "$(href "$1" "$2")"; }
say() { printf '%-42s %s\n' "$1" "$2"; }
# Why an answer is a refusal.
why() { jq -r '"\(.status) \(if .erros then [.erros[] | "\(.codigo): \(.mensagem)"] | join("; ") else .detail end)"' <<<"$1"; }

night=$(date -u -d '+3 days' +%F)
entry=$(get /)

# A telescope that only proposals may use, for an hour at most each time.
telescopes=$(open "$entry" telescopios)
rules='{"duracao_max_min": 60, "antecedencia_min_min": 10, "exige_proposta": true}'
telescope=$(follow "$telescopes" criar "$(jq -n --arg id "Lunar-$RANDOM$RANDOM" --argjson regras "$rules" '{id: $id, nome: "Telescópio da Lua", regras: $regras}')")
id=$(jq -er .id <<<"$telescope")
say "a telescope with rules:" "$id, at most $(jq -r .regras.duracao_max_min <<<"$telescope") min, by proposal"

# Who proposes: found by a part of the name, without accents.
people=$(open "$entry" cientistas)
person=$(get "$(href "$people" buscar)?busca=marie" | jq -e '.cientistas[0]')
member=$(get "$(href "$people" buscar)?busca=cecilia" | jq -e '.cientistas[0]')
say "the principal investigator:" "$(jq -r '"\(.nome), \(.instituicao)"' <<<"$person")"

proposals=$(open "$entry" propostas)
proposal=$(follow "$proposals" criar "$(jq -n --arg t "$id" --argjson pi "$(jq .id <<<"$person")" --argjson member "$(jq .id <<<"$member")" --arg from "${night}T00:00:00Z" --arg until "$(date -u -d '+60 days' +%F)T00:00:00Z" \
    '{titulo: "O lado oculto", responsavel_id: $pi, membros: [$member], inicio_utc: $from, fim_utc: $until, alocado_min: {($t): 90}}')")
used() { open "$proposal" self | jq -r --arg t "$id" '"\(.usado_min[$t] // 0) min used, \(.restante_min[$t]) min left"'; }
say "a proposal with 90 minutes:" "$(jq -r '"number \(.id), \(.titulo)"' <<<"$proposal")"

book() { follow "$entry" agendar "$(jq -n --arg t "$id" --argjson c "$(jq .id <<<"$person")" --arg s "$1" --argjson d "$2" --argjson p "$3" \
    '{cientista_id: $c, telescopio: $t, horario_inicio_utc: $s, duracao_min: $d, proposta_id: $p, alvo: "Mare Moscoviense"}')"; }
number=$(jq .id <<<"$proposal")
say "without a proposal:" "$(why "$(book "${night}T20:00:00Z" 30 null)")"
say "for two hours:" "$(why "$(book "${night}T20:00:00Z" 120 "$number")")"
booking=$(book "${night}T20:00:00Z" 60 "$number")
say "booked:" "$(jq -er 'select(.id) | "number \(.id), \(.horario_inicio_utc) to \(.horario_fim_utc)"' <<<"$booking")"
say "the proposal:" "$(used)"
booking=$(follow "$booking" alterar "{\"horario_fim_utc\": \"${night}T20:45:00Z\"}")
say "a quarter of an hour given back:" "until $(jq -er 'select(.id).horario_fim_utc' <<<"$booking"), $(used)"
booking=$(follow "$booking" alterar "{\"horario_inicio_utc\": \"${night}T20:30:00Z\"}")
say "moved:" "$(jq -er 'select(.id) | "\(.horario_inicio_utc) to \(.horario_fim_utc), change number \(.versao - 1)"' <<<"$booking")"
say "one hour more:" "$(why "$(book "${night}T22:00:00Z" 60 "$number")")"

# A maintenance: not over a booking, unless the operator says so.
maintenances=$(open "$telescope" manutencoes)
closing() { jq -n --arg from "${night}T18:00:00Z" --arg until "${night}T21:00:00Z" --argjson c "$1" \
    '{inicio_utc: $from, fim_utc: $until, motivo: "realuminização do espelho", cancelar_agendamentos: $c}'; }
say "maintenance over the booking:" "$(why "$(follow "$maintenances" criar "$(closing false)")")"
maintenance=$(follow "$maintenances" criar "$(closing true)")
say "the operator insists:" "cancelled: $(jq -er '.agendamentos_cancelados | map(tostring) | join(", ")' <<<"$maintenance")"
booking=$(open "$booking" self)
say "the booking:" "$(jq -r '"\(.status), \(.motivo_cancelamento)"' <<<"$booking")"
say "the proposal has its minutes back:" "$(used)"
say "meanwhile:" "$(why "$(book "${night}T20:00:00Z" 30 "$number")")"
follow "$maintenance" retirar '' >/dev/null
again=$(book "${night}T20:00:00Z" 30 "$number")
say "taken away, and booked again:" "$(jq -er 'select(.id) | "number \(.id), \(.status)"' <<<"$again")"

# A waiting list: the refusal leads to it, with the same body. A cancellation gives the slots to the first who waits, in one step.
asked=$(jq -n --argjson c "$(jq .id <<<"$member")" --argjson p "$number" --arg t "$id" --arg s "${night}T20:00:00Z" \
    '{cientista_id: $c, telescopio: $t, horario_inicio_utc: $s, duracao_min: 30, proposta_id: $p}')
refused=$(follow "$entry" agendar "$asked")
say "a member wants the same time:" "$(why "$refused")"
wait=$(follow "$refused" esperar "$asked")
say "and waits for it:" "$(jq -er '"place \(.posicao), \(.status)"' <<<"$wait")"
follow "$again" cancelar '{"motivo": "nuvens"}' >/dev/null
wait=$(open "$wait" self)
say "the booking is cancelled:" "$(jq -r .status <<<"$wait"), $(open "$wait" agendamento | jq -er '"number \(.id) of scientist \(.cientista_id), \(.status)"')"
say "the proposal:" "$(used)"

# What others read.
calendar=$(curl --silent --show-error --fail-with-body "$url$(href "$telescope" calendario)")
say "its calendar:" "$(grep -c '^BEGIN:VEVENT' <<<"$calendar") events, $(grep -c '^STATUS:CANCELLED' <<<"$calendar") of them cancelled"
say "the trail of the first booking:" "$(open "$booking" historico | jq -r '[.registros[].event_type] | join(", ")')"
echo "its bookings as a table:"
curl --silent --show-error --fail-with-body -H 'Accept: text/csv' "$url$(jq -er '._links.agendamentos.href' <<<"$telescope")"
