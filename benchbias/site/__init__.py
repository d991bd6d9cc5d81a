"""The site: boards, reports and docs as pages that any web server or a disk can show. No torch."""
