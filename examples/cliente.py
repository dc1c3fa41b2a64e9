#!/usr/bin/env python3
"""Um cliente que só segue links, a partir de GET /: acha o próximo horário livre, agenda, e cancela.

    cliente.py [URL] [CIENTISTA]        com identidade, SCTEC_TOKEN traz o token

Só usa a biblioteca padrão do Python. O status de saída é 0 se agendou e cancelou, 1 se não.
"""
import json
import os
import re
import sys
import urllib.error
import urllib.parse
import urllib.request

URL, CIENTISTA = sys.argv[1:] + ["http://127.0.0.1:5000", "7"][len(sys.argv) - 1:]
TOKEN = {"Authorization": "Bearer " + os.environ["SCTEC_TOKEN"]} if os.environ.get("SCTEC_TOKEN") else {}


def siga(documento, relacao, corpo=None, **parametros):
    link = documento["_links"].get(relacao) or sys.exit(f"O serviço não oferece agora o link {relacao}.")
    href = re.sub(r"\{\?.*\}", "?" + urllib.parse.urlencode(parametros), link["href"])
    pedido = urllib.request.Request(urllib.parse.urljoin(URL, href), method=link.get("method", "GET"),
                                    data=corpo and json.dumps(corpo).encode(),
                                    headers={"Content-Type": "application/json"} | TOKEN)
    try:
        return json.load(urllib.request.urlopen(pedido, timeout=60))
    except urllib.error.HTTPError as recusa:
        problema = json.load(recusa)
        return problema if recusa.code == 409 else sys.exit(f"{recusa.code}: {problema['detail']}")
    except urllib.error.URLError as falha:
        sys.exit(f"{URL} não responde: {falha.reason}")


entrada = siga({"_links": {"entrada": {"href": URL}}}, "entrada")
agora = siga(entrada, "hora")["timestamp_utc"]
telescopio = siga(entrada, "telescopios")["telescopios"][0]
livres = siga(telescopio, "livres", perto_de=agora, limite=50)["livres"]
for livre in sorted(livres, key=lambda livre: livre["horario_inicio_utc"]):
    if livre["horario_inicio_utc"] > agora:
        pedido = livre | {"cientista_id": int(CIENTISTA), "telescopio": telescopio["id"]}
        agendado = siga(livre, "agendar", pedido)
        if "cancelar" in agendado["_links"]:
            break  # senão foi 409: outro chegou antes, e o horário seguinte pode estar livre
else:
    sys.exit("Não há horário livre perto de agora.")
print("agendado: ", agendado["id"], agendado["telescopio"], agendado["horario_inicio_utc"])
cancelado = siga(agendado, "cancelar", {"motivo": "era só um exemplo"})
print("cancelado:", cancelado["id"], cancelado["status"], cancelado["cancelado_em_utc"])
