"""The documentation site: its pages are docs/ and what they link to, its tool is zensical, its output is site/."""
