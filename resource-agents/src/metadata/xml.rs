//! Our meta-data as OCF's XML (`meta-data --xml`), for tools that know only that.

use std::fmt::Write;

use super::{Kind, MetaData};

impl MetaData {
    /// The XML of OCF's resource agent API 1.1.
    pub fn to_xml(&self) -> String {
        let mut out = String::from(
            "<?xml version=\"1.0\"?>\n<!DOCTYPE resource-agent SYSTEM \"ra-api-1.dtd\">\n",
        );
        // Writing into a String cannot fail.
        let _ = self.write_xml(&mut out);
        out
    }

    fn write_xml(&self, out: &mut String) -> std::fmt::Result {
        writeln!(
            out,
            "<resource-agent name=\"{}\" version=\"{}\">",
            escape(&self.name),
            escape(&self.version)
        )?;
        writeln!(out, "  <version>1.1</version>")?;
        writeln!(out, "  <longdesc lang=\"en\">{}</longdesc>", escape(&self.long_description))?;
        writeln!(out, "  <shortdesc lang=\"en\">{}</shortdesc>", escape(&self.short_description))?;
        writeln!(out, "  <parameters>")?;
        for parameter in &self.parameters {
            writeln!(
                out,
                "    <parameter name=\"{}\" unique=\"{}\" required=\"{}\"{}>",
                escape(&parameter.name),
                u8::from(parameter.unique),
                u8::from(parameter.required),
                if self.primary.as_ref() == Some(&parameter.name) { " primary=\"1\"" } else { "" },
            )?;
            writeln!(
                out,
                "      <longdesc lang=\"en\">{}</longdesc>",
                escape(&parameter.description)
            )?;
            writeln!(
                out,
                "      <shortdesc lang=\"en\">{}</shortdesc>",
                escape(&parameter.description)
            )?;
            write!(out, "      <content type=\"{}\"", kind_word(parameter.kind))?;
            if let Some(default) = &parameter.default {
                write!(out, " default=\"{}\"", escape(default))?;
            }
            writeln!(out, "/>\n    </parameter>")?;
        }
        writeln!(out, "  </parameters>\n  <actions>")?;
        for action in &self.actions {
            let name = match action.name.as_str() {
                "status" => "monitor",
                "validate" => "validate-all",
                other => other,
            };
            write!(out, "    <action name=\"{}\"", escape(name))?;
            if let Some(timeout) = action.timeout_ms {
                write!(out, " timeout=\"{timeout}ms\"")?;
            }
            if let Some(interval) = action.interval_ms {
                write!(out, " interval=\"{interval}ms\"")?;
            }
            writeln!(out, "/>")?;
        }
        writeln!(out, "  </actions>\n</resource-agent>")
    }
}

/// OCF knows three types; the others travel as text.
fn kind_word(kind: Kind) -> &'static str {
    match kind {
        Kind::Boolean => "boolean",
        Kind::Integer => "integer",
        Kind::Address | Kind::Duration | Kind::Path | Kind::String => "string",
    }
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for symbol in text.chars() {
        match symbol {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xml_of_every_builtin_reads_back() {
        for name in crate::BUILTIN {
            let meta = crate::meta_data(name).expect("builtin");
            let read = MetaData::parse(&meta.to_xml()).expect(name);
            assert_eq!(read.name, meta.name);
            assert_eq!(read.primary, meta.primary);
            assert_eq!(read.short_description, meta.short_description);
            assert_eq!(read.actions, meta.actions);
            let names = |meta: &MetaData| -> Vec<(String, bool, Option<String>)> {
                meta.parameters
                    .iter()
                    .map(|p| (p.name.clone(), p.required, p.default.clone()))
                    .collect()
            };
            assert_eq!(names(&read), names(&meta));
        }
    }
}
