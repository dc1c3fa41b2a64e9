//! A list of the catalogue: its parameters, its pages and its links.

use std::sync::Arc;

use slog::Logger;

use super::super::app::App;
use super::super::handlers;
use super::super::requests::{ID_MAX, SCIENTIST_ID};
use crate::access::principal::Who;
use crate::access::role::Permission;
use crate::agenda::Catalogue;
use crate::agenda::directory::{Place, Search};
use crate::http::Response;
use crate::http::fields::whole_number;
use crate::http::links::{Link, Links, with_query};
use crate::http::no_room;
use crate::http::parameters::Parameters;
use crate::http::problem::Problem;
use crate::http::server::Request;
use crate::http::table::Table;
use crate::http::whole::{self, PAGE};
use crate::http::written::Written;
use crate::http::wrong::FieldCode;

/// Items on a page where no number is asked for.
const LIMIT_DEFAULT: u16 = 50;
/// The most items on a page.
const LIMIT_MAX: i64 = 500;
/// The most characters of a search.
const SEARCH_MAX_CHARS: usize = 200;
/// The most items that a request names.
const IDS_MAX: usize = 100;
/// The most characters of the id of an item.
const ID_MAX_CHARS: usize = 64;

/// A list of the catalogue.
#[derive(Debug)]
pub struct List {
    /// Its path.
    pub path: &'static str,
    /// The title of the link that adds one.
    pub create: &'static str,
    /// Whether it can be searched for what concerns one scientist.
    pub of_scientists: bool,
    /// It as a table.
    pub table: Table,
    /// Writes the items that are asked for. Returns the place of the last one, if there are more.
    pub write: fn(&Catalogue, &ListRequest, &Who, &mut Written) -> Option<Place>,
}

impl List {
    /// Answers a request for a page of it; or for all of it, as a table.
    pub async fn answer(&'static self, app: &Arc<App>, request: &Request) -> Result<Response, Problem> {
        let mut written = Written::of_list(&request.head.headers, &self.table)?;
        let (asked, is_whole) = ListRequest::read(self.of_scientists, request.head.uri.query())?;
        let visit = request.hosting.visit();
        if is_whole && written.is_table() {
            let (app, who, log) = (Arc::clone(app), request.who.clone(), request.log.clone());
            let pages = Pages { list: self, app, asked: ListRequest { limit: PAGE, ..asked }, who, log };
            return whole::answer(pages, written, visit, &request.log).await;
        }
        let (room, _reading) = visit.page(asked.limit).await.map_err(no_room::for_reading)?;
        let catalogue = handlers::catalogue(app, &request.log).await?;
        written.begin_list(self.table.list);
        let next = (self.write)(&catalogue, &asked, &request.who, &mut written);
        written.end_list();
        let links = asked.links(self, next.as_ref(), &request.who);
        Ok(written.with("limite", &asked.limit).with_links(&links).into_response(room))
    }
}

/// All of a list.
struct Pages {
    list: &'static List,
    app: Arc<App>,
    /// The next page.
    asked: ListRequest,
    who: Who,
    log: Logger,
}

impl whole::Pages for Pages {
    async fn write(&mut self, written: &mut Written) -> Result<bool, Problem> {
        let catalogue = handlers::catalogue(&self.app, &self.log).await?;
        written.begin_list(self.list.table.list);
        self.asked.after = (self.list.write)(&catalogue, &self.asked, &self.who, written);
        written.end_list();
        Ok(self.asked.after.is_some())
    }
}

/// A request for a page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListRequest {
    text: Option<String>,
    active: Option<bool>,
    /// Only these.
    ids: Option<Vec<String>>,
    /// Only what concerns this scientist.
    pub scientist_id: Option<i64>,
    /// The page goes on after this place.
    pub after: Option<Place>,
    /// The most items.
    pub limit: u16,
}

impl ListRequest {
    /// Reads the parameters. The second value is whether no number of items is asked for.
    ///
    /// # Errors
    /// 422 with every wrong one.
    pub fn read(of_scientists: bool, query: Option<&str>) -> Result<(Self, bool), Problem> {
        let mut parameters = Parameters::parse(query);
        let text = parameters.parsed("busca", |text| {
            let chars = text.chars().count();
            let words = || FieldCode::Length.says(format!("pode ter até {SEARCH_MAX_CHARS} caracteres; tem {chars}"));
            if chars > SEARCH_MAX_CHARS { Err(words()) } else { Ok(text.to_owned()) }
        });
        let active = parameters.parsed("ativo", |text| match text {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err("deve ser true ou false"),
        });
        let ids = parameters.parsed("ids", read_ids);
        let scientist_id =
            if of_scientists { parameters.integer_as("cientista_id", 1..=ID_MAX, SCIENTIST_ID) } else { None };
        let limit = parameters.integer("limite", 1..=LIMIT_MAX).and_then(|limit| u16::try_from(limit).ok());
        let after = parameters
            .parsed("cursor", |text| read_cursor(text).ok_or("não é um cursor; use o link proxima sem mudá-lo"));
        parameters.finish(&format!("{},cursor", names(of_scientists)).replace(',', ", "))?;
        let asked = Self { text, active, ids, scientist_id, after, limit: limit.unwrap_or(LIMIT_DEFAULT) };
        Ok((asked, limit.is_none()))
    }

    /// What is looked for. `number_of` gives the number of the item with an id, if there is one.
    pub fn search(&self, number_of: impl Fn(&str) -> Option<i64>) -> Search {
        let among = self.ids.as_ref().map(|ids| ids.iter().filter_map(|id| number_of(id)).collect());
        Search::new(self.text.as_deref(), self.active).among(among)
    }

    /// The links of the page, after which the list goes on at `next`.
    fn links(&self, list: &List, next: Option<&Place>, who: &Who) -> Links {
        let List { path, create, of_scientists, .. } = *list;
        Links::new()
            .with("self", Link::get(self.href(path, self.after.as_ref())))
            .with_some("proxima", next.map(|next| Link::get(self.href(path, Some(next)))))
            .with("buscar", Link::template(format!("{path}{{?{}}}", names(of_scientists))))
            .with_if(who.may(Permission::ManageCatalogue), "criar", || Link::action("POST", path, create))
            .with("inicio", Link::get("/"))
    }

    fn href(&self, path: &str, after: Option<&Place>) -> String {
        let pairs = [
            ("busca", self.text.clone()),
            ("ativo", self.active.map(|active| active.to_string())),
            ("ids", self.ids.as_ref().map(|ids| ids.join(","))),
            ("cientista_id", self.scientist_id.map(|id| id.to_string())),
            ("limite", Some(self.limit.to_string())),
            ("cursor", after.map(cursor)),
        ];
        with_query(path, pairs.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?))))
    }
}

/// The names of a list's parameters, except `cursor`, which only a link has.
const fn names(of_scientists: bool) -> &'static str {
    if of_scientists { "busca,ativo,ids,cientista_id,limite" } else { "busca,ativo,ids,limite" }
}

/// The ids of items, with commas between them.
fn read_ids(text: &str) -> Result<Vec<String>, String> {
    let ids: Vec<String> = text.split(',').map(str::to_owned).collect();
    let is_id = |id: &String| {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        !id.is_empty() && id.len() <= ID_MAX_CHARS && id.bytes().all(is_plain)
    };
    if ids.len() > IDS_MAX || !ids.iter().all(is_id) {
        return Err(format!("deve ser de 1 a {IDS_MAX} ids, com vírgulas entre eles"));
    }
    Ok(ids)
}

/// The cursor after a place.
fn cursor(Place { name, id }: &Place) -> String {
    format!("{id}~{name}")
}

fn read_cursor(text: &str) -> Option<Place> {
    let (id, name) = text.split_once('~')?;
    Some(Place { name: name.to_owned(), id: whole_number(id)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_link_to_the_next_page_is_read_as_the_same_search_after_that_place() {
        let (asked, is_whole) =
            ListRequest::read(false, Some("busca=jo%C3%A3o+silva&ativo=true&ids=7,x.1&limite=2")).unwrap();
        assert!(!is_whole && ListRequest::read(false, None).unwrap().1);
        let place = Place { name: "joao ~ silva".to_owned(), id: 12 };
        let href = asked.href("/cientistas", Some(&place));
        let (next, _) = ListRequest::read(false, href.split_once('?').map(|(_, query)| query)).unwrap();
        assert_eq!(next, ListRequest { after: Some(place), ..asked });
        for wrong in
            ["busca=", "ativo=sim", "limite=501", "cursor=x", "cursor=x~a", "nome=ana", "ids=", "ids=7,,8", "ids=a%20b"]
        {
            assert!(ListRequest::read(false, Some(wrong)).is_err(), "{wrong}");
        }
        for (name, most) in [("busca", "a".repeat(201)), ("ids", "a".repeat(65)), ("ids", vec!["7"; 101].join(","))] {
            assert!(ListRequest::read(false, Some(&format!("{name}={most}"))).is_err(), "{name}={most}");
        }
    }

    #[test]
    fn only_a_list_of_what_scientists_have_is_asked_for_one_of_them() {
        let (asked, _) = ListRequest::read(true, Some("cientista_id=7&cursor=1~a")).unwrap();
        assert_eq!(asked.scientist_id, Some(7));
        assert!(asked.href("/propostas", None).contains("cientista_id=7"));
        assert!(ListRequest::read(true, Some("cientista_id=0")).is_err());
        assert!(ListRequest::read(false, Some("cientista_id=7")).is_err());
    }
}
