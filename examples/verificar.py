#!/usr/bin/env python3
"""Verifica uma trilha de auditoria do SCTEC sem código do SCTEC: só com docs/LOGGING.md e a biblioteca padrão do Python.

    verificar.py audit-000000000001.jsonl audit.jsonl       os arquivos de uma trilha, em ordem; - é a entrada padrão

Um arquivo em gzip é descomprimido. O status de saída é 0 se a trilha está inteira, 1 se não pôde ser verificada (ou não é uma
trilha), 2 se foi alterada, 3 se está incompleta. Um arquivo cortado ao fim de uma linha parece inteiro: compare o último seq e
hash, que este programa mostra, com uma cabeça guardada em outra máquina.
"""
import gzip
import hashlib
import io
import re
import sys
import zlib

LINHA_MAX = 1 << 20
# Os primeiros campos, em que 0 é um algarismo, # o evento e * o serviço.
INICIO = '{"timestamp_utc":"0000-00-00T00:00:00.000000Z","level":"AUDIT","event_type":"#","service":"*","details":{'
PARTES = [{"0": r"\d", "#": "[A-Z_]+", "*": "[a-z-]+"}.get(letra, re.escape(letra)).encode() for letra in INICIO]
REGISTRO = re.compile(
    b"".join(PARTES) + rb'.*\},"seq":([1-9]\d*),"req":"[A-Za-z0-9._-]{1,64}",'
    rb'(?:(?:"req_cliente":"[A-Za-z0-9._-]{1,64}",)?'
    rb'"autor":"[A-Za-z0-9._@+-]{1,64}","ip":(?:null|"[0-9a-f.:]{2,45}"),)?'
    rb'"prev":"([0-9a-f]{64})","hash":"([0-9a-f]{64})"\}')
# Qualquer começo dos primeiros campos, ou todos eles e os detalhes.
COMECO = b".*"
for parte in reversed(PARTES):
    COMECO = b"(?:" + parte + COMECO + b")?"
COMECO = re.compile(COMECO)


def cortada(resto):
    """Se uma queda pode ter deixado isto: o começo de um registro."""
    inicio, campo, hash_ = resto.partition(b',"hash":"')
    if re.search(rb"[\x00-\x1f\x7f]", resto):
        return False
    if not campo:
        return bool(COMECO.fullmatch(inicio))
    return bool(REGISTRO.fullmatch(inicio + campo + b"0" * 64 + b'"}')
                and re.fullmatch(rb'[0-9a-f]{0,64}|[0-9a-f]{64}"\}?', hash_))


def linhas(nome):
    with sys.stdin.buffer if nome == "-" else open(nome, "rb") as arquivo:
        if arquivo.peek(2).startswith(b"\x1f\x8b"):
            arquivo = io.BufferedReader(gzip.GzipFile(fileobj=arquivo))
        yield from iter(lambda: arquivo.readline(LINHA_MAX), b"")


def parece_trilha(nomes):
    """Se alguma linha começa como um registro; a entrada padrão já foi lida."""
    return "-" in nomes or any(INICIO[:18].encode() in linha for nome in nomes for linha in linhas(nome))


def verificar(nomes):
    seq, anterior, parte = None, None, False
    for indice, nome in enumerate(nomes, 1):
        comeco, primeiro = re.search(r"-(\d{12,})\.jsonl(?:\.gz)?$", nome), None
        for numero, linha in enumerate(linhas(nome), 1):
            onde, inteira = f"{nome}, linha {numero}", linha.endswith(b"\n")
            if len(linha) == LINHA_MAX and not inteira:
                return 2, f"{onde}: é longa demais"
            linha = linha[:-1] if inteira else linha.rstrip(b"\0")
            registro = REGISTRO.fullmatch(linha)
            if registro and hashlib.sha256(linha[:registro.start(3) - 9]).hexdigest().encode() != registro[3]:
                return 2, f"{onde}: os bytes não dão o hash"
            if registro and seq is not None and (int(registro[1]) != seq + 1 or registro[2] != anterior):
                return 2, f"{onde}: o registro {registro[1].decode()} não segue o {seq}"
            if not inteira and indice == len(nomes) and cortada(linha):
                # Um arquivo fechado diz pelo nome em que registro começa, e só é fechado inteiro.
                if comeco and int(comeco[1]) == (primeiro or (seq or -1) + 1):
                    return 2, f"{onde}: o arquivo foi fechado, e depois cortado"
                return 3, f"{onde}: linha incompleta ao fim"
            if seq is None and not registro and not parece_trilha(nomes):
                return 1, f"{nome}: não é uma trilha"
            if not registro or not inteira:
                return 2, f"{onde}: não é um registro"
            parte = parte or seq is None and int(registro[1]) > 1
            seq, anterior = int(registro[1]), registro[3]
            primeiro = primeiro or seq
    if seq is None:
        return 1, "não há nada"
    return 3 if parte else 0, f"até o registro {seq}, hash {anterior.decode()}"


if __name__ == "__main__":
    try:
        situacao, motivo = verificar(sys.argv[1:]) if sys.argv[1:] else (1, "diga os arquivos\n" + __doc__)
    except (OSError, EOFError, zlib.error) as erro:
        situacao, motivo = 1, erro
    print(("tudo bem", "não pôde verificar", "alguém mexeu", "incompleta")[situacao] + ":", motivo)
    sys.exit(situacao)
