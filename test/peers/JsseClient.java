import java.io.BufferedReader;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.SSLSocketFactory;

/**
 * `JsseClient PROXY-PORT TLS-VERSION NAME:PORT...` asks each origin for a page through the proxy. Chain and name are judged
 * by Java alone; what came of it is printed, one line for each.
 */
public class JsseClient {
  public static void main(String[] arguments) throws Exception {
    for (int at = 2; at < arguments.length; at++) {
      int colon = arguments[at].lastIndexOf(':');
      String name = arguments[at].substring(0, colon);
      String outcome;
      try {
        outcome = visit(Integer.parseInt(arguments[0]), arguments[1], name, arguments[at].substring(colon + 1));
      } catch (Exception error) {
        outcome = "failed: " + error.getMessage();
      }
      System.out.println(name + " " + outcome);
    }
  }

  private static String visit(int proxy, String version, String name, String port) throws Exception {
    try (Socket socket = new Socket("127.0.0.1", proxy)) {
      socket.setSoTimeout(15_000);
      String target = "127.0.0.1:" + port;
      socket.getOutputStream().write(bytes("CONNECT " + target + " HTTP/1.1\r\nHost: " + target + "\r\n\r\n"));
      readHead(socket.getInputStream());
      SSLSocketFactory factory = (SSLSocketFactory) SSLSocketFactory.getDefault();
      SSLSocket secure = (SSLSocket) factory.createSocket(socket, name, Integer.parseInt(port), true);
      SSLParameters parameters = secure.getSSLParameters();
      parameters.setEndpointIdentificationAlgorithm("HTTPS");
      parameters.setProtocols(new String[] {version});
      secure.setSSLParameters(parameters);
      secure.startHandshake();
      secure.getOutputStream().write(bytes("GET / HTTP/1.1\r\nHost: " + name + "\r\nConnection: close\r\n\r\n"));
      BufferedReader answer = new BufferedReader(new InputStreamReader(secure.getInputStream(), StandardCharsets.ISO_8859_1));
      return secure.getSession().getProtocol() + " " + answer.readLine();
    }
  }

  /** The proxy's answer, and no byte of what follows it. */
  private static void readHead(InputStream from) throws Exception {
    StringBuilder head = new StringBuilder();
    while (head.indexOf("\r\n\r\n") < 0) {
      int next = from.read();
      if (next < 0) throw new Exception("no tunnel");
      head.append((char) next);
    }
    if (!head.toString().startsWith("HTTP/1.1 200")) throw new Exception("no tunnel: " + head);
  }

  private static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.ISO_8859_1);
  }
}
