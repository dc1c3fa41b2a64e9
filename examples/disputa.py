#!/usr/bin/env python3
"""Decide de novo as disputas de uma trilha: python3 disputa.py audit.jsonl [AGENDAMENTO_ID]

Acha cada carimbo pela fórmula de docs/API.md ("O carimbo"), e o vencedor pelo menor carimbo. Status: 0 se tudo confere, 1 se não.
"""
import json
import sys
from datetime import datetime, timedelta


def instante(texto):
    return datetime.fromisoformat(texto.replace("Z", "+00:00"))


def carimbo(entrada, margem_us):
    chegada = instante(entrada["chegada_utc"])
    if entrada["token_utc"] is None or entrada["instante_clique_utc"] is None:
        return chegada
    credito = timedelta(microseconds=(entrada["ida_volta_us"] or 0) // 2 + margem_us)
    antes = min(max(instante(entrada["token_utc"]), chegada - credito), chegada)
    return min(max(instante(entrada["instante_clique_utc"]), antes), chegada)


def confere(registro):
    detalhes, entradas = registro["details"], registro["details"]["entradas"]
    achados = [carimbo(entrada, detalhes["margem_us"]) for entrada in entradas]
    escritos = [instante(entrada["carimbo_utc"]) for entrada in entradas]
    return achados == escritos == sorted(escritos) and entradas[0]["req"] == registro["req"]


tudo = True
for linha in open(sys.argv[1], encoding="utf-8"):
    registro = json.loads(linha)
    if registro["event_type"] != "DISPUTA_RESOLVIDA":
        continue
    agendamento = registro["details"]["agendamento_id"]
    if len(sys.argv) > 2 and agendamento != int(sys.argv[2]):
        continue
    resultado = confere(registro)
    tudo = tudo and resultado
    vencedor = registro["details"]["cientista_id"]
    print(f"agendamento {agendamento}: cientista {vencedor},", "confere" if resultado else "NÃO CONFERE")
sys.exit(0 if tudo else 1)
