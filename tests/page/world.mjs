// Bookings and agendas as the scheduler answers them.

const SLOT = 300000;

/// The instant of a slot of the day that the tests use, on the wire.
export const DAY = "2031-05-06";
export const utc = (slot) => new Date(Date.parse(DAY) + slot * SLOT).toISOString();

/// A booking of `count` slots from `first` on. Higher numbers were made later.
export function booking(id, first, count = 1, more = {}) {
  return {
    id,
    telescopio: "Hubble-Acad",
    cientista_id: id,
    horario_inicio_utc: utc(first),
    horario_fim_utc: utc(first + count),
    status: "AGENDADO",
    criado_em_utc: `2031-05-01T00:00:${String(id).padStart(2, "0")}.000000Z`,
    _links: { self: { href: `agendamentos/${id}` } },
    ...more,
  };
}

/// The same booking after it was cancelled.
export const cancelled = (of) => ({
  ...of,
  status: "CANCELADO",
  cancelado_em_utc: of.criado_em_utc.replace("00:00", "01:00"),
  _links: { ...of._links, agendar: { href: "agendamentos", method: "POST" } },
});

/// The answer with the agenda of `count` slots from `first` on, as it is with these bookings.
export function answer(bookings, { first = 0, count = 12, telescope = "Hubble-Acad", links = {} } = {}) {
  const active = bookings.filter(({ status }) => status === "AGENDADO");
  const slots = Array.from({ length: count }, (_, index) => {
    const start = utc(first + index);
    const all = active.filter((it) => it.horario_inicio_utc <= start && start < it.horario_fim_utc);
    const links = all.length ? {} : { _links: { agendar: { href: "agendamentos", method: "POST" } } };
    const [estado, agendamento_id] = all.length ? ["agendado", all[0].id] : ["livre", null];
    return { horario_inicio_utc: start, estado, agendamento_id, vezes_agendado: all.length, ...links };
  });
  return {
    telescopio: telescope,
    de_utc: utc(first),
    ate_utc: utc(first + count),
    horarios: slots,
    agendamentos: active,
    _links: { agenda: { href: "agenda{?de,ate}", templated: true }, ...links },
  };
}

/// All orders of a list.
export function* orders(list) {
  if (list.length < 2) return yield list;
  for (const [index, one] of list.entries()) {
    for (const rest of orders(list.toSpliced(index, 1))) yield [one, ...rest];
  }
}
