"""Feeds, in the structure that their specifications have, and one that would fill the memory."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

RSS = """<?xml version="1.0" encoding="utf-8"?>
<rss version="2.0">
  <channel>
    <title>Harbour News</title>
    <link>https://harbour.example.com/</link>
    <description>What happens on the quay.</description>
    <language>en-us</language>
    <item>
      <title>Herring &amp; poems</title>
      <link>https://harbour.example.com/news/herring</link>
      <description>An evening with &lt;i&gt;both&lt;/i&gt;.</description>
      <pubDate>Tue, 03 Jun 2003 09:39:21 GMT</pubDate>
      <guid isPermaLink="false">2003-06-03-1</guid>
    </item>
    <item>
      <description>The shop is closed on Monday.</description>
      <pubDate>Fri, 30 May 2003 11:06:42 GMT</pubDate>
    </item>
  </channel>
</rss>
"""
ATOM = """<?xml version="1.0" encoding="utf-8"?>
<feed xmlns="http://www.w3.org/2005/Atom">
  <title type="text">The bookseller</title>
  <id>tag:example.org,2003:3</id>
  <updated>2005-07-31T12:29:29Z</updated>
  <link rel="alternate" type="text/html" href="https://blog.example.org/"/>
  <link rel="self" type="application/atom+xml" href="https://blog.example.org/feed.atom"/>
  <entry>
    <title>New shelves</title>
    <link rel="enclosure" type="audio/mpeg" length="1337" href="https://blog.example.org/1.mp3"/>
    <link rel="alternate" type="text/html" href="https://blog.example.org/2005/shelves"/>
    <id>tag:example.org,2003:3.2397</id>
    <updated>2005-07-31T12:29:29Z</updated>
    <author><name>Ann Quay</name></author>
  </entry>
  <entry>
    <title>Old shelves</title>
    <link href="https://blog.example.org/2005/old"/>
    <id>tag:example.org,2003:3.2396</id>
    <updated>2005-07-30T12:29:29Z</updated>
    <author><name>Ann Quay</name></author>
  </entry>
</feed>
"""
BOMB = """<?xml version="1.0"?>
<!DOCTYPE rss [
  <!ENTITY a "ha">
  <!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">
]>
<rss version="2.0"><channel><item><title>&b;</title></item></channel></rss>
"""


async def get_rss(request: Request) -> Response:
    """RSS 2.0: https://www.rssboard.org/rss-specification. An item may do without a title."""
    return Response(RSS, media_type="application/rss+xml")


async def get_atom(request: Request) -> Response:
    """Atom: https://www.rfc-editor.org/rfc/rfc4287. A link without `rel` is an `alternate` one."""
    return Response(ATOM, media_type="application/atom+xml")


async def get_bomb(request: Request) -> Response:
    """Entities made of entities: https://docs.python.org/3/library/xml.html#xml-security."""
    return Response(BOMB, media_type="application/rss+xml")


ROUTES = [
    Route("/news.rss", get_rss),
    Route("/blog.atom", get_atom),
    Route("/bomb.rss", get_bomb),
]
