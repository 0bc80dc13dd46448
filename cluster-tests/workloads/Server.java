// The line server (README.md) on Java: a thread for each connection, a scheduled executor, a pool of two workers.

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;

public class Server {
    static final AtomicLong ticks = new AtomicLong();
    static final ExecutorService workers = Executors.newFixedThreadPool(2);

    public static void main(String[] arguments) throws Exception {
        Executors.newScheduledThreadPool(1)
                .scheduleAtFixedRate(ticks::incrementAndGet, 0, 50, TimeUnit.MILLISECONDS);
        try (ServerSocket listening = new ServerSocket(9000)) {
            while (true) {
                Socket socket = listening.accept();
                new Thread(() -> serve(socket)).start();
            }
        }
    }

    static void serve(Socket socket) {
        try (socket; BufferedReader lines = new BufferedReader(new InputStreamReader(socket.getInputStream()))) {
            long sum = 0;
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                sum += Long.parseLong(line.split(" ")[1]);
                Callable<Integer> work = () -> 1;
                int answered = 0;
                for (var future : workers.invokeAll(List.of(work, work))) answered += future.get();
                socket.getOutputStream().write(("sum " + sum + " ticks " + ticks + " workers " + answered + "\n").getBytes());
            }
        } catch (Exception error) {
            System.err.println(error);
        }
    }
}
