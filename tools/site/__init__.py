"""The site of the lessons: `make site`.

A file imports only files that stand above it:
    npm        files of a package from npm, known by their hash
    links      links of the project's texts, so that they hold on the site
    pictures   pictures out of the pages, into files of their own
    widgets    where the site's widgets stand
    weights    networks of the records, as files that JavaScript reads
    onnx       networks for photographs, as ONNX files, and the program that runs them
    texts      pages of the site that are made from the project's texts
    measure    the size of the site, and of what a reader loads first
    build      the whole site
    serve      shows it on this machine
    film       films a widget of it
"""
