"""The HTTP service with a web page. The service needs the extra ``serve``."""
