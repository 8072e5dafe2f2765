# Varnish as a shared cache: its built-in VCL and a backend. The parameters are in `run`.

vcl 4.0;

backend default {
  .host = "127.0.0.1";
  .port = "@ORIGIN@";
}
