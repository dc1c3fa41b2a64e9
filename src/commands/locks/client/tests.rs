//! The client against a server with scripted answers.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc;
use std::thread;

use super::*;

/// A server that answers each request with the next of `answers` and then ends; its URL, and the requests.
fn fake(answers: Vec<(u16, String)>) -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, requests) = mpsc::channel();
    thread::spawn(move || {
        for (status, body) in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            let mut buffer = [0; 4096];
            while !is_whole(&request) {
                let read = stream.read(&mut buffer).unwrap();
                assert!(read > 0, "a whole request");
                request.extend_from_slice(&buffer[..read]);
            }
            sender.send(String::from_utf8(request).unwrap()).unwrap();
            let head = format!("HTTP/1.1 {status} x\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            stream.write_all((head + &body).as_bytes()).unwrap();
        }
    });
    (url, requests)
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    match length {
        Some(length) => body.len() >= length,
        None => !head.to_ascii_lowercase().contains("transfer-encoding") || body.ends_with("0\r\n\r\n"),
    }
}

fn client(urls: &[&str]) -> Client {
    Client::new(&urls.iter().map(|&url| url.to_owned()).collect::<Vec<_>>(), &Security::default()).unwrap()
}

fn page(names: &[&str], next: Option<&str>) -> (u16, String) {
    let lock = |name: &&str| json!({"recurso": name, "estado": "travado", "dono": null, "token": 1, "expira_em_ms": 5, "fila": 0});
    let mut page = json!({"travas": names.iter().map(lock).collect::<Vec<_>>(), "limite": 1000, "_links": {}});
    if let Some(href) = next {
        page["_links"]["proxima"] = json!({ "href": href });
    }
    (200, page.to_string())
}

/// A URL whose port has no listener.
fn nobody() -> String {
    format!("http://{}", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap())
}

fn names(listing: &Listing) -> Vec<&str> {
    listing.locks.iter().map(|lock| lock["recurso"].as_str().unwrap()).collect()
}

fn first_line(request: &str) -> &str {
    request.lines().next().unwrap()
}

#[tokio::test]
async fn the_links_lead_from_page_to_page() {
    let (url, requests) =
        fake(vec![page(&["a/1", "a/2"], Some("/locks?prefixo=a%2F&limite=1000&cursor=a%2F2")), page(&["a/3"], None)]);
    let listing = client(&[&url]).list(Some("a/"), usize::MAX).await.unwrap();
    assert_eq!((names(&listing), listing.more, &listing.coordinator), (vec!["a/1", "a/2", "a/3"], false, &url));
    assert_eq!(first_line(&requests.recv().unwrap()), "GET /locks?prefixo=a%2F&limite=1000 HTTP/1.1");
    assert_eq!(first_line(&requests.recv().unwrap()), "GET /locks?prefixo=a%2F&limite=1000&cursor=a%2F2 HTTP/1.1");
}

#[tokio::test]
async fn a_limit_asks_for_no_more_than_it_shows() {
    let (url, requests) = fake(vec![page(&["a", "b"], Some("/locks?limite=2&cursor=b"))]);
    let listing = client(&[&url]).list(None, 2).await.unwrap();
    assert_eq!((names(&listing), listing.more), (vec!["a", "b"], true));
    assert_eq!(first_line(&requests.recv().unwrap()), "GET /locks?limite=2 HTTP/1.1");
}

#[tokio::test]
async fn pages_that_do_not_end_are_noticed() {
    let (url, _requests) = fake(vec![page(&["a"], Some("?cursor=a")), page(&[], Some("?cursor=b"))]);
    assert!(matches!(client(&[&url]).list(None, usize::MAX).await, Err(ClientError::Endless { .. })));
    let (url, _requests) = fake(vec![page(&["a"], Some("?limite=1000"))]);
    assert!(matches!(client(&[&url]).list(None, usize::MAX).await, Err(ClientError::Endless { .. })));
}

#[tokio::test]
async fn the_first_that_answers_is_taken() {
    let (url, _requests) = fake(vec![page(&["a"], None)]);
    assert_eq!(names(&client(&[&nobody(), &url]).list(None, usize::MAX).await.unwrap()), ["a"]);
    let error = client(&[&nobody(), &nobody()]).list(None, usize::MAX).await.unwrap_err();
    assert!(error.is_unreachable() && error.to_string().matches("http://").count() == 2, "{error}");
}

#[tokio::test]
async fn a_release_says_what_it_ended() {
    let done =
        json!({"recurso": "a/ç", "estado_anterior": "travado", "recursos": ["a/ç", "b"], "dono": null, "token": 7});
    let (url, requests) = fake(vec![(200, done.to_string())]);
    let Release::Done(answer) = client(&[&nobody(), &url]).release("a/ç", Some("o dono \"sumiu\"")).await.unwrap()
    else {
        panic!("released");
    };
    let said = super::super::view::released(&answer).unwrap();
    assert_eq!(said, "released a/ç, b (was held: no named owner, token 7)\n");
    let request = requests.recv().unwrap();
    assert_eq!(first_line(&request), "DELETE /locks/a%2F%C3%A7 HTTP/1.1");
    assert!(request.to_ascii_lowercase().contains("content-type: application/json"), "{request}");
    let body: Value = serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!(body, json!({"motivo": "o dono \"sumiu\""}));
}

#[tokio::test]
async fn a_404_of_a_free_resource_differs_from_a_404_of_an_unknown_path() {
    let problem =
        |code: &str| json!({"codigo": code, "detail": "d", "erros": [{"campo": "motivo", "mensagem": "m\u{1b}"}]});
    let free = (404, problem("sem_trava").to_string());
    let health = (200, json!({"carencia_resta_ms": 8000}).to_string());
    let unknown = (404, problem("nao_encontrado").to_string());
    let (url, requests) = fake(vec![free, health, unknown, (404, "<html>".to_owned())]);
    let mut client = client(&[&url]);
    let Ok(Release::Free(_, left)) = client.release("X", None).await else { panic!("it is free") };
    assert_eq!(left, Some(Duration::from_secs(8)));
    assert!(requests.recv().unwrap().ends_with("\r\n\r\n"), "no body");
    assert_eq!(first_line(&requests.recv().unwrap()), "GET /saude HTTP/1.1");
    for _ in 0..2 {
        assert!(matches!(client.release("X", None).await, Err(ClientError::NotACoordinator { status: 404, .. })));
    }
    let (url, _requests) = fake(vec![(422, problem("campos_invalidos").to_string())]);
    let error = self::client(&[&url]).release("X", Some("\n")).await.unwrap_err();
    assert_eq!(error.to_string(), format!("{url}/locks/X answered 422: --reason: the coordinator says \"m\\u001b\""));
}

#[tokio::test]
async fn a_release_without_an_answer_is_not_tried_elsewhere() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    // Takes the request and hangs up.
    thread::spawn(move || drop(listener.accept().unwrap().0.read(&mut [0; 4096])));
    let (other, requests) = fake(vec![(200, "{}".to_owned())]);
    assert!(matches!(client(&[&url, &other]).release("X", None).await, Err(ClientError::Unsure { .. })));
    assert!(requests.try_recv().is_err());
}

#[tokio::test]
async fn an_answer_that_is_not_a_coordinators_is_an_error() {
    for body in ["", "[]", "{}", r#"{"travas": {}}"#, r#"{"travas": [], "_links": {"proxima": {"href": "\n"}}}"#] {
        let (url, _requests) = fake(vec![(200, body.to_owned())]);
        let error = client(&[&url]).list(None, usize::MAX).await.unwrap_err();
        assert!(matches!(error, ClientError::NotACoordinator { status: 200, .. }), "{body}: {error:?}");
    }
}

#[test]
fn only_http_and_https_urls_are_asked_and_empty_ones_passed_over() {
    let new =
        |urls: &[&str]| Client::new(&urls.iter().map(|&url| url.to_owned()).collect::<Vec<_>>(), &Security::default());
    for wrong in
        [&[""][..], &[" ", ""], &["localhost:3000"], &["ftp://h"], &["http://h", "http://h:99999"], &["http://h?a"]]
    {
        assert!(matches!(new(wrong), Err(ClientError::Url(_))), "{wrong:?}");
    }
    let urls = |client: Client| client.addresses.into_iter().map(|address| address.url).collect::<Vec<_>>();
    assert_eq!(urls(new(&["http://h/", " ", " http://g:1 "]).unwrap()), ["http://h", "http://g:1"]);
    assert_eq!(urls(new(&["https://h/"]).unwrap()), ["https://h"]);
}
