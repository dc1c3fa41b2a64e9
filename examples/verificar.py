#!/usr/bin/env python3
"""Verifica uma trilha de auditoria do SCTEC sem nada do SCTEC: só docs/LOGGING.md e a biblioteca padrão do Python.

    verificar.py audit-000000000001.jsonl audit.jsonl       os arquivos de uma trilha, em ordem

Termina com 0 se está tudo bem, 1 se não pôde verificar, 2 se alguém mexeu, 3 se está incompleta. Um arquivo cortado bem ao
fim de uma linha parece inteiro: compare o último seq e hash, que isto mostra, com uma cabeça anotada em outro lugar.
"""
import hashlib
import re
import sys

INICIO = rb'\{"timestamp_utc":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z","level":"AUDIT","event_type":"'
REGISTRO = re.compile(
    INICIO + rb'[A-Z_]+","service":"[a-z-]+","details":\{.*\},"seq":([1-9]\d*),"req":"[A-Za-z0-9._-]{1,64}",'
    rb'"prev":"([0-9a-f]{64})","hash":"([0-9a-f]{64})"\}')
MODELO = b'{"timestamp_utc":"0000-00-00T00:00:00.000000Z","level":"AUDIT","event_type":"'
FIM_CORTADO = re.compile(rb'(?:(?!,"hash":")[^\x00-\x1f\x7f])*(?:,"hash":"(?:[0-9a-f]{0,64}|[0-9a-f]{64}"\}?))?')


def cortada(resto):
    """Se uma queda pode ter deixado isto: o começo de um registro (e zeros, se faltou energia)."""
    resto = resto.rstrip(b"\0")
    return bool(re.match(INICIO, resto + MODELO[len(resto):]) and FIM_CORTADO.fullmatch(resto))


def verificar(nomes):
    seq, anterior, parte = None, None, False
    for nome in nomes:
        for numero, linha in enumerate(open(nome, "rb"), 1):
            onde, registro = f"{nome}, linha {numero}", REGISTRO.fullmatch(linha.removesuffix(b"\n"))
            if registro and hashlib.sha256(linha[:registro.start(3) - 9]).hexdigest().encode() != registro[3]:
                return 2, f"{onde}: os bytes não dão o hash"
            if registro and seq is None:  # o nome de um arquivo fechado diz em que registro começa
                comeco = re.search(r"-(\d{12,})\.jsonl$", nome)
                seq = int(registro[1]) - 1 if comeco and int(comeco[1]) == int(registro[1]) else 0
                parte, anterior = seq > 0, registro[2]
            if registro and (int(registro[1]) != seq + 1 or registro[2] != anterior):
                return 2, f"{onde}: o registro {registro[1].decode()} não segue o {seq}"
            if not linha.endswith(b"\n") and nome == nomes[-1] and cortada(linha):
                return 3, f"{onde}: linha incompleta ao fim"
            if not registro or not linha.endswith(b"\n"):
                return 2, f"{onde}: não é um registro"
            seq, anterior = seq + 1, registro[3]
    return 3 if parte else 0, f"até o registro {seq or 0}, hash {(anterior or b'nenhum').decode()}"


if __name__ == "__main__":
    try:
        situacao, motivo = verificar(sys.argv[1:])
    except OSError as erro:
        situacao, motivo = 1, erro
    print(("tudo bem", "não pôde verificar", "alguém mexeu", "incompleta")[situacao] + ":", motivo)
    sys.exit(situacao)
