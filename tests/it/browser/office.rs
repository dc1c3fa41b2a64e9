//! The catalogue in the page, for those who manage it: telescopes with rules and maintenance, scientists, proposals.

use serde_json::{Value, json};

use super::axe::Axe;
use super::driver::{Browser, Turn};
use super::fixture::{DAY, as_scientist, cell, page, slot, start, wait_kind, wait_live};
use super::proxy::Proxy;
use crate::common::access::give;
use crate::common::{Services, http};

const JSON: &str = "application/json";

/// Services, a proxy that renames every link, and a browser with the open catalogue.
async fn opened(telescope: &str) -> (Turn, Services, Proxy, Browser) {
    let (turn, services, browser) = start(&[]).await;
    let proxy = Proxy::start(services.agenda_address());
    as_scientist(&browser, 7);
    browser.open(&format!("{}#{telescope}@{DAY}", proxy.url)).await;
    wait_live(&browser, "on").await;
    browser.click("#office").await;
    browser.wait_text("#dialog .items", "Acadêmico Webb").await;
    (turn, services, proxy, browser)
}

/// Presses the button of the dialog that shows `text`, when it is there.
pub async fn press(browser: &Browser, text: &str) {
    let script = format!(
        "const all = document.querySelectorAll('#pressed'), it = [...document.querySelectorAll('#dialog button')].find((one) => one.innerText.includes({text:?}));
         for (const one of all) one.removeAttribute('id');
         if (it) it.id = 'pressed';
         it?.scrollIntoView({{block: 'center'}});
         return Boolean(it)"
    );
    browser.wait(&format!("the button {text:?}"), &script).await;
    browser.click("#dialog #pressed").await;
}

/// Gives a field of the dialog a value, as one who types it.
pub async fn fill(browser: &Browser, field: &str, value: &str) {
    let script = format!(
        "const it = document.getElementById('field-{field}');
         it.value = {value:?};
         for (const name of ['input', 'change']) it.dispatchEvent(new Event(name));
         return true"
    );
    browser.ask(&script).await;
}

async fn field(browser: &Browser, field: &str) -> Value {
    browser.ask(&format!("return document.getElementById('field-{field}').value")).await
}

/// Checks a state of the dialog, wide and narrow, light and dark.
async fn looked(browser: &Browser, axe: &Axe, state: &str) {
    for (width, dark) in [(320, true), (1280, true), (1280, false)] {
        browser.look(width, 900, dark);
        axe.check(browser, &format!("{state}, {width} wide, dark {dark}")).await;
        browser.picture(&format!("catalogo-{state}-{width}-{dark}")).await;
    }
}

fn read(services: &Services, path: &str) -> Value {
    http("GET", &services.agenda(path), None).json()
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn an_operator_opens_a_telescope_and_gives_it_rules_and_hours() {
    let (_turn, services, proxy, browser) = opened("Hubble-Acad").await;
    let axe = Axe::load();
    looked(&browser, &axe, "lista").await;
    press(&browser, "Novo telescópio").await;
    browser.wait_text("#dialog", "Regras").await;
    // What is wrong is said at its field, also in a row of the hours.
    fill(&browser, "id", "SALSA 1").await;
    fill(&browser, "regras.cota_ativas", "9999").await;
    press(&browser, "Acrescentar um período").await;
    press(&browser, "Salvar").await;
    browser.wait_text("#dialog", "Este número não serve: deve ser um número inteiro entre 0 e 500.").await;
    let errors = "return ['id', 'nome', 'regras.cota_ativas', 'regras.horas_de_operacao[0]'].map((id) => document.getElementById(`error-${id}`).innerText !== '')";
    assert_eq!(browser.ask(errors).await, json!([true, true, true, true]));
    assert_eq!(browser.ask("return document.activeElement.id").await, "field-id");
    looked(&browser, &axe, "erros").await;
    fill(&browser, "id", "SALSA-1").await;
    fill(&browser, "nome", "Radiotelescópio SALSA").await;
    fill(&browser, "regras.cota_ativas", "3").await;
    fill(&browser, "regras.duracao_max_min", "60").await;
    let hours = "const [day, from, until] = document.querySelectorAll('.rows li :is(select, input)');
                 day.value = 'ter'; from.value = '20:00'; until.value = '06:00'; return true";
    browser.ask(hours).await;
    press(&browser, "Salvar").await;
    browser.wait_text("#dialog", "Salvo: Radiotelescópio SALSA.").await;
    let rules = read(&services, "/telescopios/SALSA-1")["regras"].clone();
    let expected = json!([{"dia": "ter", "das": "20:00", "as": "06:00"}]);
    assert_eq!(
        (&rules["cota_ativas"], &rules["duracao_max_min"], &rules["horas_de_operacao"]),
        (&json!(3), &json!(60), &expected)
    );
    assert_eq!(
        browser
            .ask("return [...document.getElementById('telescope').options].some(({value}) => value === 'SALSA-1')")
            .await,
        true
    );
    assert_eq!(proxy.strays(), [""; 0]);
    browser.assert_clean(&proxy.url);
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn two_operators_who_change_a_telescope_undo_nothing_of_each_other() {
    let (_turn, services, browser) = start(&[]).await;
    let made =
        json!({"id": "SALSA-1", "nome": "Radiotelescópio SALSA", "regras": {"duracao_max_min": 60, "cota_ativas": 3}});
    assert_eq!(http("POST", &services.agenda("/telescopios"), Some((JSON, &made.to_string()))).status, 201);
    let axe = Axe::load();
    browser.open(&page(&services.agenda(""))).await;
    wait_live(&browser, "on").await;
    browser.click("#office").await;
    press(&browser, "Radiotelescópio SALSA").await;
    browser.wait_text("#dialog", "Regras").await;
    fill(&browser, "regras.cota_ativas", "5").await;
    let other = json!({"regras": {"horizonte_dias": 30}}).to_string();
    assert_eq!(http("PATCH", &services.agenda("/telescopios/SALSA-1"), Some((JSON, &other))).status, 200);
    press(&browser, "Salvar").await;
    browser.wait_text("#dialog .problem", "Outra pessoa mudou isto").await;
    assert_eq!(
        (field(&browser, "regras.cota_ativas").await, field(&browser, "regras.horizonte_dias").await),
        (json!("5"), json!("30"))
    );
    axe.check(&browser, "changed by another").await;
    fill(&browser, "regras.duracao_max_min", "").await;
    browser.ask("document.getElementById('field-ativo').click(); return true").await;
    press(&browser, "Salvar").await;
    browser.wait_text("#dialog .items", "desativado").await;
    let changed = read(&services, "/telescopios/SALSA-1");
    let rules = &changed["regras"];
    assert_eq!(
        (&changed["ativo"], &rules["cota_ativas"], &rules["horizonte_dias"], &rules["duracao_max_min"]),
        (&json!(false), &json!(5), &json!(30), &Value::Null)
    );
    // What is out of service is not offered.
    assert_eq!(
        browser
            .ask("return [...document.getElementById('telescope').options].some(({value}) => value === 'SALSA-1')")
            .await,
        false
    );
    browser.assert_clean(&services.agenda(""));
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn a_scientist_is_found_by_name_and_what_is_wrong_is_said_at_its_field() {
    let (_turn, _services, proxy, browser) = opened("Hubble-Acad").await;
    let axe = Axe::load();
    press(&browser, "Cientistas").await;
    browser.wait_text("#dialog .items", "Marie Curie").await;
    browser.ask("document.getElementById('office-search').focus(); return true").await;
    browser.type_in("lattes").await;
    browser.wait("only one is found", "return document.querySelectorAll('#dialog .items li').length === 1").await;
    press(&browser, "Lattes").await;
    browser.wait_text("#dialog", "Instituição").await;
    fill(&browser, "pais", "brasil").await;
    press(&browser, "Salvar").await;
    browser.wait("an error", "return document.getElementById('error-pais').innerText").await;
    axe.check(&browser, "a scientist, with an error").await;
    assert_eq!(proxy.strays(), [""; 0]);
    browser.assert_clean(&proxy.url);
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn a_maintenance_says_which_bookings_it_would_cancel_and_the_slots_say_why() {
    let (_turn, services, proxy, browser) = opened("Webb-Acad").await;
    let axe = Axe::load();
    let body = json!({"cientista_id": 3, "telescopio": "Webb-Acad", "horario_inicio_utc": slot("10:15")});
    assert_eq!(services.book_with(&body).0, 201);
    press(&browser, "Acadêmico Webb").await;
    press(&browser, "Manutenções").await;
    browser.wait_text("#dialog", "Nenhuma manutenção").await;
    press(&browser, "Nova manutenção").await;
    browser.wait_text("#dialog", "Repetir toda semana").await;
    fill(&browser, "inicio_utc", &format!("{DAY}T10:00")).await;
    fill(&browser, "fim_utc", &format!("{DAY}T11:00")).await;
    press(&browser, "Fechar o telescópio").await;
    browser.wait("an error", "return document.getElementById('error-motivo').innerText").await;
    looked(&browser, &axe, "manutencao").await;
    fill(&browser, "motivo", "realuminização do espelho").await;
    fill(&browser, "semanal_ate_utc", "2031-06-01T00:00").await;
    press(&browser, "Fechar o telescópio").await;
    browser.wait_text("#dialog", "10:15–10:20: Caroline Herschel (agendamento 1)").await;
    browser.wait_text("#dialog", "cancelaria um agendamento").await;
    looked(&browser, &axe, "sobre-agendamentos").await;
    assert_eq!(services.list("?status=AGENDADO").len(), 1, "nothing was done yet");
    // What was typed is still there.
    press(&browser, "Voltar ao formulário").await;
    browser.wait("the form", "return document.getElementById('field-motivo')").await;
    assert_eq!(field(&browser, "motivo").await, "realuminização do espelho");
    press(&browser, "Fechar o telescópio").await;
    press(&browser, "Cancelar e fechar").await;
    browser.wait_text("#dialog", "Agendamentos cancelados: 1.").await;
    browser.wait_text("#dialog .items", "toda semana até domingo, 1 de junho de 2031").await;
    axe.check(&browser, "the maintenances").await;
    assert_eq!(services.list("?status=AGENDADO"), Vec::<Value>::new());

    browser.key(fantoccini::key::Key::Escape).await;
    wait_kind(&browser, "10:15", "closed").await;
    browser.click(&cell("10:15")).await;
    browser.wait_text("#selected", "indisponível: manutenção").await;
    browser.wait_text("#selected", "Motivo: realuminização do espelho").await;
    let label =
        browser.ask(&format!("return document.querySelector('{}').getAttribute('aria-label')", cell("10:15"))).await;
    assert_eq!(label, "10:15, indisponível: manutenção (realuminização do espelho)");
    axe.check(&browser, "a slot in maintenance").await;

    browser.click("#office").await;
    press(&browser, "Acadêmico Webb").await;
    press(&browser, "Manutenções").await;
    press(&browser, "Retirar").await;
    browser.wait_text("#dialog h2", "Retirar a manutenção?").await;
    axe.check(&browser, "whether to remove it").await;
    press(&browser, "Retirar").await;
    browser.wait_text("#dialog", "A manutenção foi retirada.").await;
    browser.key(fantoccini::key::Key::Escape).await;
    wait_kind(&browser, "10:15", "free").await;
    assert_eq!(proxy.strays(), [""; 0]);
    browser.assert_clean(&proxy.url);
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn a_proposal_is_made_and_charged_and_shows_what_is_left() {
    let (_turn, services, proxy, browser) = opened("Hubble-Acad").await;
    let axe = Axe::load();
    press(&browser, "Propostas").await;
    press(&browser, "Nova proposta").await;
    browser.wait_text("#dialog", "Minutos em cada telescópio").await;
    fill(&browser, "titulo", "Cefeidas em M31").await;
    fill(&browser, "responsavel_id", "7").await;
    fill(&browser, "inicio_utc", "2031-01-01T00:00").await;
    fill(&browser, "fim_utc", "2032-01-01T00:00").await;
    let add = "for (const [at, value] of [[0, '5'], [1, 'Hubble-Acad']]) {
                   const it = document.querySelectorAll('#dialog .adder select')[at];
                   it.value = value;
                   it.dispatchEvent(new Event('change'));
               }
               return document.activeElement.closest('li').innerText";
    assert!(browser.ask(add).await.as_str().unwrap().contains("Hubble"));
    browser.type_in("60").await;
    looked(&browser, &axe, "proposta").await;
    press(&browser, "Salvar").await;
    browser.wait_text("#dialog", "Salvo: Cefeidas em M31.").await;
    let made = read(&services, "/propostas/1");
    assert_eq!((&made["membros"], &made["alocado_min"]), (&json!([5]), &json!({"Hubble-Acad": 60})));
    let needed = json!({"regras": {"exige_proposta": true}}).to_string();
    assert_eq!(http("PATCH", &services.agenda("/telescopios/Hubble-Acad"), Some((JSON, &needed))).status, 200);
    browser.client.refresh().await.unwrap();
    wait_live(&browser, "on").await;

    browser.click(&cell("05:00")).await;
    browser.wait_text("dialog #field-proposta_id", "Cefeidas em M31").await;
    browser.click("dialog button[type=submit]").await;
    browser.wait_text("dialog", "Este telescópio só aceita agendamentos de uma proposta.").await;
    browser.wait_text("dialog #field-proposta_id", "Cefeidas em M31").await;
    fill(&browser, "proposta_id", "1").await;
    browser.wait_text("dialog", "Restam 1 h neste telescópio.").await;
    axe.check(&browser, "a booking with a proposal").await;
    browser.click("dialog button[type=submit]").await;
    browser.wait_text("dialog .outcome.won", "05:00–05:05").await;
    assert_eq!(services.list("")[0]["proposta_id"], 1);
    browser.key(fantoccini::key::Key::Escape).await;

    browser.click("#office").await;
    press(&browser, "Propostas").await;
    press(&browser, "Cefeidas").await;
    browser.wait_text("#dialog .use", "55 min").await;
    looked(&browser, &axe, "proposta-usada").await;
    // A telescope that is taken out has no minutes any more.
    browser
        .ask("document.querySelector('#dialog .rows li[data-id=\"Hubble-Acad\"] button').click(); return true")
        .await;
    press(&browser, "Salvar").await;
    browser.wait_text("#dialog", "Salvo:").await;
    assert_eq!(read(&services, "/propostas/1")["alocado_min"], json!({}));
    assert_eq!(proxy.strays(), [""; 0]);
    browser.assert_clean(&proxy.url);
}

#[tokio::test]
#[ignore = "needs chromium and chromedriver"]
async fn who_may_not_manage_the_catalogue_sees_no_button_for_it() {
    let (_turn, services, browser) = start(&["--access", "token"]).await;
    for (name, args, sees) in
        [("ana", &["--role", "cientista", "--scientist", "7"][..], false), ("bia", &["--role", "operador"], true)]
    {
        let given = give(services.data_dir(), &[&[name], args].concat());
        browser.client.goto(&page(&services.agenda(""))).await.unwrap();
        browser.wait("the form to sign in", "return document.querySelector('#sign-in[open] input')").await;
        browser
            .ask(&format!("document.querySelector('#sign-in [name=token]').value = '{}'; return true", given.token))
            .await;
        browser.click("#sign-in button[type=submit]").await;
        wait_live(&browser, "on").await;
        browser.wait_text("#who", name).await;
        assert_eq!(browser.ask("return !document.getElementById('office').hidden").await, sees, "{name}");
        browser.click("#sign").await;
    }
}
