//! The page: files of this program, so that it looks the same wherever it is opened and asks nobody else for anything.

/// A file of the page.
pub(super) struct Asset {
    path: &'static str,
    pub(super) content_type: &'static str,
    pub(super) text: &'static str,
}

const SCRIPT: &str = "text/javascript; charset=utf-8";

const ASSETS: [Asset; 9] = [
    Asset { path: "/", content_type: "text/html; charset=utf-8", text: include_str!("page/index.html") },
    Asset { path: "/page.css", content_type: "text/css; charset=utf-8", text: include_str!("page/page.css") },
    Asset { path: "/page.js", content_type: SCRIPT, text: include_str!("page/page.js") },
    Asset { path: "/ask.js", content_type: SCRIPT, text: include_str!("page/ask.js") },
    Asset { path: "/element.js", content_type: SCRIPT, text: include_str!("page/element.js") },
    Asset { path: "/map.js", content_type: SCRIPT, text: include_str!("page/map.js") },
    Asset { path: "/rows.js", content_type: SCRIPT, text: include_str!("page/rows.js") },
    Asset { path: "/views.js", content_type: SCRIPT, text: include_str!("page/views.js") },
    Asset { path: "/icon.svg", content_type: "image/svg+xml", text: include_str!("page/icon.svg") },
];

pub(super) fn find(path: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.path == path)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The browser would refuse some of it, and a reader should not have to look for it.
    #[test]
    fn the_page_asks_nobody_else_and_takes_no_text_for_html() {
        for asset in &ASSETS {
            let forbidden =
                ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", " style=\"", " onclick="];
            for word in forbidden {
                assert!(!asset.text.contains(word), "{}: {word}", asset.path);
            }
            let elsewhere = asset.text.replace("http://www.w3.org/2000/svg", "");
            assert!(!elsewhere.contains("http://") && !elsewhere.contains("https://"), "{}", asset.path);
        }
    }

    #[test]
    fn every_file_that_the_page_names_is_served() {
        let page = find("/").unwrap().text;
        for part in page.split(['"']).filter(|part| part.starts_with('/') && part.contains('.')) {
            assert!(find(part).is_some(), "{part}");
        }
        let scripts: Vec<&Asset> = ASSETS.iter().filter(|asset| asset.content_type == SCRIPT).collect();
        for script in scripts {
            for line in script.text.lines().filter(|line| line.starts_with("import ")) {
                let path = line.split('"').nth(1).unwrap().trim_start_matches('.');
                assert!(find(path).is_some(), "{}: {path}", script.path);
            }
        }
    }
}
