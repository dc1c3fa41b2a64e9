#!/usr/bin/env python3
"""Decide de novo as disputas de uma trilha: python3 disputa.py audit.jsonl [AGENDAMENTO_ID]

Acha cada carimbo e o vencedor pelas regras de docs/API.md ("O carimbo"). Status: 0 se tudo confere, 1 se não.
"""
import json
import sys
from datetime import datetime, timedelta
from hashlib import sha256


def instante(texto):
    return datetime.fromisoformat(texto.replace("Z", "+00:00"))


def carimbo(entrada, margem_us):
    achado = carimbo_do_clique(entrada, margem_us)
    # O horário abriu há pouco, ou ainda não: o que é anterior conta como esse instante.
    return max(achado, instante(entrada["abre_em_utc"])) if "abre_em_utc" in entrada else achado


def carimbo_do_clique(entrada, margem_us):
    chegada = instante(entrada["chegada_utc"])
    if entrada["token_utc"] is None or entrada["instante_clique_utc"] is None:
        return chegada
    credito = timedelta(microseconds=(entrada["ida_volta_us"] or 0) // 2 + margem_us)
    antes = min(max(instante(entrada["token_utc"]), chegada - credito), chegada)
    return min(max(instante(entrada["instante_clique_utc"]), antes), chegada)


def semente_confere(semente, correntes):
    nome, elos, elo = semente.split(".")
    for _ in range(int(elos)):
        elo = sha256(elo.encode()).hexdigest()
    return correntes.get(nome) == elo


def confere(registro, correntes):
    detalhes, entradas = registro["details"], registro["details"]["entradas"]
    certo = all(carimbo(entrada, detalhes["margem_us"]) == instante(entrada["carimbo_utc"]) for entrada in entradas)
    vencedor, sorteio = min(entradas, key=lambda entrada: instante(entrada["carimbo_utc"])), detalhes["sorteio"]
    if sorteio:
        limite = instante(vencedor["carimbo_utc"]) + timedelta(microseconds=detalhes["empate_us"])
        sorteadas = [entrada for entrada in entradas if entrada["sorteada"]]
        certo = certo and all(instante(entrada["carimbo_utc"]) <= limite for entrada in sorteadas)
        certo = certo and semente_confere(sorteio["semente"], correntes)
        textos = (sorteio["semente"], sorteio["recurso"])
        vencedor = min(sorteadas, key=lambda entrada: sha256("\n".join((*textos, entrada["entrada"])).encode()).digest())
    return certo and vencedor["req"] == entradas[0]["req"] == registro["req"]


tudo, correntes = True, {}
for linha in open(sys.argv[1], encoding="utf-8"):
    registro = json.loads(linha)
    detalhes = registro["details"]
    if registro["event_type"] == "SEMENTES_COMPROMETIDAS":
        correntes[detalhes["nome"]] = detalhes["fim"]
    if registro["event_type"] != "DISPUTA_RESOLVIDA" or sys.argv[2:] not in ([], [str(detalhes["agendamento_id"])]):
        continue
    resultado = confere(registro, correntes)
    tudo = tudo and resultado
    print(f"agendamento {detalhes['agendamento_id']}: cientista {detalhes['cientista_id']},", "confere" if resultado else "NÃO CONFERE")
sys.exit(0 if tudo else 1)
