#!/usr/bin/env bash
# As entregas e os critérios do laboratório, conferidos numa só execução: uma linha para cada um, com OK ou FALHA e com o
# lugar da prova. As provas (logs, bancos, respostas) ficam numa pasta.
#
# Uso: examples/entregas.sh [PASTA]                   as entregas 1 a 5, com os serviços como processos
#      examples/entregas.sh --conteineres [PASTA]     a entrega 5, com a imagem já construída e compose.yml
#
# PASTA é onde ficam as provas; sem ela, uma pasta temporária nova. O executável é $SCTEC, ou o sctec do PATH, ou o que
# `cargo build --release` deixou em target/release. Precisa de curl e jq; com --conteineres, também de docker compose ou
# podman-compose. Status de saída: 0 se tudo está OK, 1 se algo falhou, 2 se não foi possível conferir.
set -uo pipefail
# O terminal conta letras, não bytes.
export LC_ALL=C.UTF-8
cd "$(dirname "$0")/.."

SLOT=2025-12-01T03:00:00Z
RECURSO=Hubble-Acad_$SLOT
falhas=0
processos=()
# Num terminal mais estreito que isto, a prova vai na linha de baixo.
LARGURA=105
colunas=$LARGURA
[[ -t 1 ]] && colunas=$(stty size </dev/tty 2>/dev/null | cut -d' ' -f2)
((${colunas:=0} > 0)) || colunas=$LARGURA

desistir() {
    echo "entregas.sh: $*" >&2
    exit 2
}

# conferir ENTREGA CRITÉRIO PROVA COMANDO...: OK se o comando termina com 0.
conferir() {
    local entrega=$1 criterio=$2 prova=$3 veredito=OK
    shift 3
    if ! "$@" >/dev/null 2>&1; then
        veredito=FALHA
        falhas=$((falhas + 1))
    fi
    if ((colunas < LARGURA)); then
        printf '%-5s  %s  %s\n          %s\n' "$veredito" "$entrega" "$criterio" "$prova"
    else
        printf '%-5s  %s  %s%*s  %s\n' "$veredito" "$entrega" "$criterio" "$((64 - ${#criterio}))" '' "$prova"
    fi
}

for programa in curl jq; do
    command -v "$programa" >/dev/null || desistir "falta o programa $programa"
done

# --- O que as conferências usam ------------------------------------------------------------------------------------

# vezes N TEXTO ARQUIVO: o texto está em exatamente N linhas.
vezes() { [[ $(grep -c -F -- "$2" "$3") == "$1" ]]; }

# ao_menos N TEXTO ARQUIVO
ao_menos() { (($(grep -c -F -- "$2" "$3") >= $1)); }

# criados N ARQUIVO: registros AGENDAMENTO_CRIADO do horário disputado, lidos como JSON, no eco da trilha dentro do log.
criados() {
    local contados
    contados=$(grep '^{' "$2" | jq -s --arg inicio "$SLOT" \
        '[.[] | select(.level == "AUDIT" and .event_type == "AGENDAMENTO_CRIADO" and .details.horario_inicio_utc == $inicio)] | length')
    [[ $contados == "$1" ]] || { [[ $1 == muitos ]] && ((contados >= 2)); }
}

# entrelacados ARQUIVO: entre duas linhas de uma requisição há uma linha de outra.
entrelacados() {
    grep -o 'req=[^ ]*' "$1" | awk '
        $0 != anterior && visto[$0]++ { voltou = 1 }
        { anterior = $0 }
        END { exit !voltou }'
}

# na_ordem ARQUIVO TEXTO...: numa mesma requisição, as linhas vêm nesta ordem.
na_ordem() {
    local arquivo=$1 req texto linha=0 achada
    shift
    req=$(grep -F "Salvando novo agendamento no BD" "$arquivo" | grep -o 'req=[^ ]*' | head -1)
    [[ -n $req ]] || return 1
    for texto in "$@"; do
        achada=$(grep -n -F -- "$texto" "$arquivo" | grep -w -F -- "$req" | head -1 | cut -d: -f1)
        [[ -n $achada ]] && ((achada > linha)) || return 1
        linha=$achada
    done
}

# respostas ARQUIVO CRIADOS RECUSADOS: o que dez pedidos simultâneos receberam.
respostas() { [[ $(grep -c '^201$' "$1") == "$2" && $(grep -c '^409$' "$1") == "$3" ]]; }

# disputar URL ARQUIVO: o teste de estresse do enunciado: dez vezes o mesmo payload, ao mesmo tempo.
disputar() {
    local numero pedidos=()
    for numero in 1 2 3 4 5 6 7 8 9 10; do
        curl -s -o "$2.$numero.json" -w '%{http_code}\n' -H 'Content-Type: application/json' \
            -d "{\"cientista_id\": 1, \"horario_inicio_utc\": \"$SLOT\"}" "$1/agendamentos" >"$2.$numero" &
        pedidos+=($!)
    done
    wait "${pedidos[@]}"
    cat "$2".? "$2".?? >"$2"
    rm -f "$2".? "$2".??
}

# da_lista URL: quantos agendamentos do horário a lista tem.
da_lista() { curl -s "$1/agendamentos?de=$SLOT&ate=2025-12-01T03:05:00Z&status=AGENDADO" | jq '.agendamentos | length'; }
lista_tem() { [[ $(da_lista "$1") == "$2" ]]; }
lista_tem_varios() { (($(da_lista "$1") >= 2)); }

# --- Entrega 1: o blueprint -----------------------------------------------------------------------------------------

# secoes ARQUIVO TEXTO...: o documento fala de cada um.
secoes() {
    local arquivo=$1 texto
    shift
    for texto in "$@"; do
        grep -q -F -- "$texto" "$arquivo" || return 1
    done
}

entrega_1() {
    conferir 1 "MODELOS.md tem as entidades" docs/MODELOS.md \
        secoes docs/MODELOS.md Telescópio Cientista Agendamento Horário
    conferir 1 "API.md tem os endpoints dos dois serviços" docs/API.md \
        secoes docs/API.md 'POST /agendamentos' 'GET /agendamentos/{id}' 'DELETE /agendamentos/{id}' 'GET /time' \
        'POST /lock' 'POST /unlock'
    conferir 1 "API.md tem as respostas HATEOAS" "docs/API.md (_links)" secoes docs/API.md '"_links"' '"cancelar"'
    conferir 1 "LOGGING.md tem o formato dos logs de aplicação e de auditoria" docs/LOGGING.md \
        secoes docs/LOGGING.md 'NÍVEL:INSTANTE:SERVIÇO:MENSAGEM' '"timestamp_utc"' '"level"' '"event_type"' '"details"'
}

# --- Entregas 2 a 4, como processos ---------------------------------------------------------------------------------

# servir SERVIÇO ARGUMENTOS...: começa um serviço numa porta livre e espera até que escute. A URL fica em $url.
servir() {
    local nome=$1 saida=$pasta/$1.saida espera
    shift
    "$SCTEC" "$@" >"$saida" 2>&1 &
    processos+=($!)
    for espera in $(seq 200); do
        url=$(grep -o "$nome:escutando em http://[0-9.:]*" "$saida" | grep -o 'http://.*')
        [[ -n $url ]] && return
        kill -0 "$!" 2>/dev/null || desistir "$nome não começou: $(tail -1 "$saida")"
        sleep 0.05
    done
    desistir "$nome não começou em 10 s"
}

# parar: termina os serviços desta execução, e espera por eles.
parar() {
    ((${#processos[@]})) || return 0
    kill "${processos[@]}" 2>/dev/null
    wait "${processos[@]}" 2>/dev/null
    processos=()
}

executavel() {
    if [[ -z ${SCTEC:-} ]]; then
        SCTEC=$(command -v sctec) || SCTEC=target/release/sctec
    fi
    [[ -x $(command -v "$SCTEC") ]] || desistir "não há executável; construa-o com cargo build --release, ou diga qual em SCTEC"
}

entrega_2() {
    local dados=$pasta/entrega2 log=$pasta/entrega2/app.log
    servir servico-agendamento serve-scheduler --no-lock --listen 127.0.0.1:0 --data-dir "$dados"
    disputar "$url" "$pasta/entrega2.respostas"
    local criado
    criado=$(curl -s -H 'Content-Type: application/json' \
        -d '{"cientista_id": 7, "horario_inicio_utc": "2025-12-02T03:00:00Z"}' "$url/agendamentos")
    echo "$criado" >"$pasta/entrega2.criado.json"
    "$SCTEC" stress --n 10 --expect race --json --url "$url" >"$pasta/entrega2.stress.json" 2>&1
    local corrida=$?
    conferir 2 "o serviço agenda e responde com links HATEOAS" entrega2.criado.json \
        jq -e '._links.self.href and ._links.cancelar.href' "$pasta/entrega2.criado.json"
    conferir 2 "dez pedidos do mesmo horário: vários 201" entrega2.respostas ao_menos 2 201 "$pasta/entrega2.respostas"
    conferir 2 "o script de estresse prova a condição de corrida" entrega2.stress.json test "$corrida" -eq 0
    conferir 2 "o banco tem registros conflitantes" "GET /agendamentos, de entrega2/corrida.db" lista_tem_varios "$url"
    conferir 2 "app.log mostra as requisições entrelaçadas" entrega2/app.log entrelacados "$log"
    conferir 2 "app.log tem as três mensagens do enunciado" entrega2/app.log \
        na_ordem "$log" 'Requisição recebida para POST /agendamentos' 'Iniciando verificação de conflito no BD' \
        'Salvando novo agendamento no BD'
    conferir 2 "app.log tem a auditoria duplicada do mesmo horário" entrega2/app.log criados muitos "$log"
    parar
}

entrega_3() {
    local dados=$pasta/entrega3 app=$pasta/entrega3/app.log porteiro=$pasta/entrega3/coordenador.log
    servir servico-coordenador serve-coordinator --listen 127.0.0.1:0 --data-dir "$dados"
    servir servico-agendamento serve-scheduler --listen 127.0.0.1:0 --coordinator "$url" --data-dir "$dados"
    disputar "$url" "$pasta/entrega3.respostas"
    conferir 3 "dez pedidos do mesmo horário: um 201 e nove 409" entrega3.respostas \
        respostas "$pasta/entrega3.respostas" 1 9
    conferir 3 "o banco tem um só registro" entrega3/sctec.db lista_tem "$url" 1
    conferir 3 "o Porteiro concedeu um lock" entrega3/coordenador.log \
        vezes 1 "Lock concedido para recurso $RECURSO" "$porteiro"
    conferir 3 "o Porteiro negou nove" entrega3/coordenador.log \
        vezes 9 "Recurso $RECURSO já em uso, negando lock" "$porteiro"
    conferir 3 "o Porteiro liberou o lock" entrega3/coordenador.log \
        vezes 1 "Recebido pedido de unlock para recurso $RECURSO. Lock liberado." "$porteiro"
    conferir 3 "o Cérebro tentou dez vezes" entrega3/app.log \
        vezes 10 "Tentando adquirir lock para o recurso $RECURSO" "$app"
    conferir 3 "o Cérebro teve um sucesso" entrega3/app.log \
        vezes 1 "Lock adquirido com sucesso para o recurso $RECURSO" "$app"
    conferir 3 "o Cérebro teve nove falhas" entrega3/app.log \
        vezes 9 "Falha ao adquirir lock para o recurso $RECURSO, recurso ocupado" "$app"
    conferir 3 "o Cérebro trava, verifica, salva e libera, nesta ordem" entrega3/app.log \
        na_ordem "$app" 'Tentando adquirir lock' 'Lock adquirido com sucesso' 'Iniciando verificação de conflito no BD' \
        'Salvando novo agendamento no BD' 'Liberando lock para o recurso'
    conferir 3 "há um só registro de auditoria" entrega3/app.log criados 1 "$app"
    conferir 3 "sctec stress: um 201, nove 409" "sctec stress" "$SCTEC" stress --n 10 --url "$url"
    conferir 3 "a trilha de auditoria está inteira" "sctec audit --verify" "$SCTEC" audit --verify --data-dir "$dados"
    parar
}

# desvio SEGUNDOS: clock-sync com um relógio adiantado (ou atrasado) assim mede esse desvio, dentro da sua margem.
desvio() {
    "$SCTEC" clock-sync --json --simulate-skew="$1s" --url "$url" >"$pasta/entrega4.relogio$1.json" &&
        jq -e --argjson esperado "$((-$1 * 1000))" \
            '(.offset_ms - $esperado | fabs) <= .error_bound_ms + 1' "$pasta/entrega4.relogio$1.json"
}

# cancelar_pelo_link: o link cancelar da resposta leva ao cancelamento; a resposta do cancelamento já não o tem.
cancelar_pelo_link() {
    local link
    link=$(jq -c ._links.cancelar "$pasta/entrega4.criado.json")
    curl -s -X "$(jq -r .method <<<"$link")" "$url$(jq -r .href <<<"$link")" >"$pasta/entrega4.cancelado.json"
    jq -e '.status == "CANCELADO" and (._links | has("cancelar") | not)' "$pasta/entrega4.cancelado.json"
}

# pagina: um navegador recebe o HTML, e os módulos que ele pede estão lá. O que eles fazem é conferido pelos testes browser.
pagina() {
    local modulo
    curl -s -H 'Accept: text/html' "$url/" >"$pasta/entrega4.index.html"
    grep -q '<script type="module"' "$pasta/entrega4.index.html" || return 1
    for modulo in $(grep -o 'src="[^"]*\.js"' "$pasta/entrega4.index.html" | cut -d'"' -f2); do
        curl -s -f -o "$pasta/entrega4.modulo.js" "$url/${modulo#/}" || return 1
    done
}

entrega_4() {
    local dados=$pasta/entrega4 log=$pasta/entrega4/app.log
    servir servico-agendamento serve-all --listen 127.0.0.1:0 --listen-coordinator 127.0.0.1:0 --data-dir "$dados"
    curl -s "$url/time" >"$pasta/entrega4.time.json"
    curl -s -H 'Content-Type: application/json' -d "{\"cientista_id\": 7, \"horario_inicio_utc\": \"$SLOT\"}" \
        "$url/agendamentos" >"$pasta/entrega4.criado.json"
    conferir 4 "GET /time diz a hora oficial" entrega4.time.json \
        jq -e '.timestamp_utc | test("^20[0-9-]+T[0-9:.]+Z$")' "$pasta/entrega4.time.json"
    conferir 4 "a página (index.html) é servida, com os seus módulos" entrega4.index.html pagina
    conferir 4 "o cliente dois segundos adiantado sabe disso (São Paulo)" "entrega4.relogio2.json" desvio 2
    conferir 4 "o cliente um segundo atrasado sabe disso (Tóquio)" "entrega4.relogio-1.json" desvio -1
    conferir 4 "o cancelamento segue o link cancelar da resposta" entrega4.cancelado.json cancelar_pelo_link
    conferir 4 "app.log tem a auditoria AGENDAMENTO_CANCELADO" entrega4/app.log \
        vezes 1 '"event_type":"AGENDAMENTO_CANCELADO"' "$log"
    conferir 4 "app.log registra as chamadas a /time" entrega4/app.log ao_menos 1 'Requisição recebida em GET /time do IP' "$log"
    parar
}

# --- Entrega 5: o que se confere sem contêineres --------------------------------------------------------------------

# Containerfile compila o programa e o deixa na imagem; compose.yml constrói essa imagem e começa os dois serviços.
descritos() {
    grep -q -E '^FROM [^ ]+' Containerfile && secoes Containerfile 'cargo build' 'COPY --from=' 'ENTRYPOINT ["/sctec"]' &&
        secoes compose.yml build: servico-agendamento: servico-coordenador: serve-scheduler serve-coordinator
}

# Os dois serviços num processo escrevem num só fluxo, como compose logs mostra os dos contêineres.
entrega_5_sem_conteineres() {
    local fluxo=$pasta/entrega5.logs
    servir servico-agendamento serve-all --listen 127.0.0.1:0 --listen-coordinator 127.0.0.1:0 --data-dir "$pasta/entrega5"
    disputar "$url" "$pasta/entrega5.respostas"
    parar
    mv "$pasta/servico-agendamento.saida" "$fluxo"
    conferir 5 "Containerfile e compose.yml descrevem os dois contêineres" "Containerfile, compose.yml" descritos
    conferir 5 "um só fluxo tem as linhas dos dois serviços, com o mesmo req" entrega5.logs mesma_requisicao "$fluxo"
    conferir 5 "nele, as linhas de uma requisição estão na ordem de causa" entrega5.logs \
        na_ordem "$fluxo" 'Tentando adquirir lock' 'Lock concedido para recurso' 'Lock adquirido com sucesso' \
        'Salvando novo agendamento no BD' 'Liberando lock para o recurso' 'Lock liberado'
}

# --- Entrega 5, e a 2 e a 3, em contêineres -------------------------------------------------------------------------

compor() {
    local arquivos=$1
    shift
    # shellcheck disable=SC2086 # duas opções são duas palavras
    SCTEC_PORT=$porta "${composer[@]}" -p "sctec-entregas-$$" $arquivos "$@"
}

# pronto URL: espera até que o serviço possa trabalhar.
pronto() {
    local espera
    for espera in $(seq 240); do
        curl -s -f -o /dev/null "$1/pronto" && return
        sleep 0.25
    done
    return 1
}

# mesma_requisicao ARQUIVO: a requisição cujo lock foi concedido está nas linhas dos dois serviços.
mesma_requisicao() {
    local req
    req=$(grep -F 'Lock concedido' "$1" | grep -o 'req=[^ ]*' | head -1)
    [[ -n $req ]] && grep -w -F -- "$req" "$1" | grep -q servico-agendamento &&
        grep -w -F -- "$req" "$1" | grep -q servico-coordenador
}

entrega_5() {
    local corrida="-f compose.yml -f compose.race.yml" url=http://127.0.0.1:$porta logs=$pasta/entrega5.logs
    compor "-f compose.yml" up -d >"$pasta/entrega5.up" 2>&1
    conferir 5 "os dois contêineres começam com compose up" entrega5.up pronto "$url"
    disputar "$url" "$pasta/entrega5.respostas"
    conferir 5 "dez pedidos do mesmo horário: um 201 e nove 409" entrega5.respostas \
        respostas "$pasta/entrega5.respostas" 1 9
    # O engine guarda a saída dos contêineres um instante depois.
    local espera
    for espera in $(seq 40); do
        compor "-f compose.yml" logs >"$logs" 2>&1
        ao_menos 1 'Lock liberado' "$logs" && break
        sleep 0.25
    done
    conferir 5 "compose logs junta os logs dos dois serviços" entrega5.logs mesma_requisicao "$logs"
    conferir 5 "um lock concedido, nove negados" entrega5.logs vezes 1 "Lock concedido para recurso $RECURSO" "$logs"
    conferir 5 "a trilha no volume está inteira" "sctec audit --verify" \
        compor "-f compose.yml" exec -T servico-agendamento /sctec audit --verify
    compor "-f compose.yml" down -v >/dev/null 2>&1

    compor "$corrida" up -d >"$pasta/entrega5.corrida.up" 2>&1
    pronto "$url"
    disputar "$url" "$pasta/entrega5.corrida.respostas"
    conferir 5 "sem trava (compose.race.yml), vários 201" entrega5.corrida.respostas \
        ao_menos 2 201 "$pasta/entrega5.corrida.respostas"
    conferir 5 "sem trava, a agenda tem registros conflitantes" "GET /agendamentos" lista_tem_varios "$url"
    compor "$corrida" down -v >/dev/null 2>&1
}

# --- A execução -----------------------------------------------------------------------------------------------------

porta_livre() {
    local numero
    for numero in $(shuf -i 20000-29999 -n 50); do
        (exec 3<>"/dev/tcp/127.0.0.1/$numero") 2>/dev/null || { echo "$numero"; return; }
    done
    desistir "não há porta livre"
}

conteineres=false
case ${1:-} in
    -h | --help | --ajuda)
        # O começo deste arquivo.
        sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' examples/entregas.sh
        exit 0
        ;;
    --conteineres)
        conteineres=true
        shift
        ;;
    -*) desistir "não há a opção $1; veja examples/entregas.sh --ajuda" ;;
esac
(($# <= 1)) || desistir "só uma PASTA; veja examples/entregas.sh --ajuda"
pasta=${1:-$(mktemp -d -t sctec-entregas-XXXXXX)}
mkdir -p "$pasta" || desistir "não é possível criar $pasta"
pasta=$(cd "$pasta" && pwd)
[[ -z $(ls -A "$pasta") ]] || desistir "$pasta não está vazia; as contas são de uma execução só"

if $conteineres; then
    if command -v docker >/dev/null && docker compose version >/dev/null 2>&1; then
        composer=(docker compose)
    elif command -v podman-compose >/dev/null; then
        composer=(podman-compose)
    else
        desistir "falta docker compose ou podman-compose"
    fi
    porta=$(porta_livre)
    entrega_5
else
    executavel
    trap parar EXIT
    entrega_1
    entrega_2
    entrega_3
    entrega_4
    entrega_5_sem_conteineres
fi

echo
echo "provas em $pasta"
if ((falhas)); then
    ((falhas == 1)) && echo "1 conferência falhou" || echo "$falhas conferências falharam"
    exit 1
fi
if $conteineres; then
    echo "tudo OK em contêineres; as entregas 1 a 4: examples/entregas.sh"
else
    echo "tudo OK como processos; a imagem e os contêineres da entrega 5 se conferem com examples/entregas.sh --conteineres"
fi
