//! A list of the catalogue: its parameters, its pages and its links.

use serde::Serialize;

use crate::access::principal::Who;
use crate::access::role::Permission;
use crate::agenda::directory::{Place, Search};
use crate::http::fields::whole_number;
use crate::http::links::{Link, Links, with_query};
use crate::http::parameters::Parameters;
use crate::http::problem::Problem;
use crate::http::written::Written;
use crate::http::wrong::FieldCode;

/// Items on a page where no number is asked for.
const LIMIT_DEFAULT: u16 = 50;
/// The most items on a page.
const LIMIT_MAX: i64 = 500;
/// The most characters of a search.
const SEARCH_MAX_CHARS: usize = 200;

/// A list, and how one is added to it.
#[derive(Clone, Copy, Debug)]
pub struct List {
    /// Its path.
    pub path: &'static str,
    /// The title of the link that adds one.
    pub create: &'static str,
}

/// A request for a page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListRequest {
    text: Option<String>,
    active: Option<bool>,
    /// The page goes on after this place.
    pub after: Option<Place>,
    /// The most items.
    pub limit: u16,
}

impl ListRequest {
    /// Reads the parameters.
    ///
    /// # Errors
    /// 422 with every wrong one.
    pub fn read(query: Option<&str>) -> Result<Self, Problem> {
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
        let limit = parameters.integer("limite", 1..=LIMIT_MAX).and_then(|limit| u16::try_from(limit).ok());
        let after = parameters
            .parsed("cursor", |text| read_cursor(text).ok_or("não é um cursor; use o link proxima sem mudá-lo"));
        parameters.finish("busca, ativo, limite, cursor")?;
        Ok(Self { text, active, after, limit: limit.unwrap_or(LIMIT_DEFAULT) })
    }

    /// What is looked for.
    pub fn search(&self) -> Search {
        Search::new(self.text.as_deref(), self.active)
    }

    /// The links of the page, after which the list goes on at `next`.
    fn links(&self, list: List, next: Option<&Place>, who: &Who) -> Links {
        let List { path, create } = list;
        Links::new()
            .with("self", Link::get(self.href(path, self.after.as_ref())))
            .with_some("proxima", next.map(|next| Link::get(self.href(path, Some(next)))))
            .with("buscar", Link::template(format!("{path}{{?busca,ativo,limite}}")))
            .with_if(who.may(Permission::ManageCatalogue), "criar", || Link::action("POST", path, create))
            .with("inicio", Link::get("/"))
    }

    /// The page: its items, how many it has at the most, and its links.
    pub fn page(
        &self,
        list: List,
        items: impl IntoIterator<Item = impl Serialize>,
        next: Option<&Place>,
        who: &Who,
    ) -> Written {
        let name = list.path.trim_start_matches('/');
        let written = Written::tagged().with_list(name, items).with("limite", &self.limit);
        written.with_links(&self.links(list, next, who))
    }

    fn href(&self, path: &str, after: Option<&Place>) -> String {
        let pairs = [
            ("busca", self.text.clone()),
            ("ativo", self.active.map(|active| active.to_string())),
            ("limite", Some(self.limit.to_string())),
            ("cursor", after.map(cursor)),
        ];
        with_query(path, pairs.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?))))
    }
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
        let asked = ListRequest::read(Some("busca=jo%C3%A3o+silva&ativo=true&limite=2")).unwrap();
        let place = Place { name: "joao ~ silva".to_owned(), id: 12 };
        let href = asked.href("/cientistas", Some(&place));
        let next = ListRequest::read(href.split_once('?').map(|(_, query)| query)).unwrap();
        assert_eq!(next, ListRequest { after: Some(place), ..asked });
        for wrong in ["busca=", "ativo=sim", "limite=501", "cursor=x", "cursor=x~a", "nome=ana"] {
            assert!(ListRequest::read(Some(wrong)).is_err(), "{wrong}");
        }
        assert!(ListRequest::read(Some(&format!("busca={}", "a".repeat(201)))).is_err());
    }
}
