"""What is written about a run: JUnit XML, a page of HTML, and lines for a terminal."""
