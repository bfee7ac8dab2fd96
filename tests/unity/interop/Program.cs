// Drives the core by commands on standard input, one a line, and tells what happens on standard output, one JSON object a
// line. tests/unity/client.py speaks with it.
using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Globalization;
using System.IO;
using System.Security.Cryptography;
using System.Text;
using System.Threading;
using Llia.Core;

internal static class Program
{
    private static readonly object s_output = new object();

    private static int Main(string[] arguments)
    {
        var settings = new ClientSettings { ControlEndpoint = arguments[0], ClientName = "interop" };
        for (var i = 1; i + 1 < arguments.Length; i += 2)
        {
            var value = arguments[i + 1];
            switch (arguments[i])
            {
                case "--frames": settings.FramesEndpoint = value; break;
                case "--silence-ms": settings.SilenceTimeoutMs = Number(value); break;
                case "--handshake-ms": settings.HandshakeTimeoutMs = Number(value); break;
                case "--retry-ms": settings.FirstRetryMs = settings.LongestRetryMs = Number(value); break;
            }
        }
        using (var client = new LliaClient(settings))
        {
            client.StatusChanged += () => Tell("status", "state", client.Status.State, "problem", client.Status.Problem);
            var driver = new Driver(client);
            string line;
            while ((line = Console.In.ReadLine()) != null && line != "quit")
            {
                try
                {
                    driver.Do(line.Split('\t'));
                }
                catch (Exception error)
                {
                    Tell("failed", "command", line, "error", error.GetType().Name + ": " + error.Message);
                }
            }
            driver.End();
        }
        Tell("closed", "threads", Process.GetCurrentProcess().Threads.Count);
        return 0;
    }

    public static int Number(string text)
    {
        return int.Parse(text, CultureInfo.InvariantCulture);
    }

    public static void Tell(string kind, params object[] pairs)
    {
        var line = new StringBuilder("{\"kind\":").Append(Quoted(kind));
        for (var i = 0; i < pairs.Length; i += 2)
        {
            line.Append(",").Append(Quoted((string)pairs[i])).Append(":").Append(Value(pairs[i + 1]));
        }
        lock (s_output)
        {
            Console.Out.WriteLine(line.Append("}").ToString());
            Console.Out.Flush();
        }
    }

    private static string Value(object value)
    {
        if (value is double)
        {
            return ((double)value).ToString("R", CultureInfo.InvariantCulture);
        }
        if (value is int || value is long)
        {
            return Convert.ToString(value, CultureInfo.InvariantCulture);
        }
        return Quoted(Convert.ToString(value, CultureInfo.InvariantCulture));
    }

    private static string Quoted(string text)
    {
        var quoted = new StringBuilder("\"");
        foreach (var c in text)
        {
            if (c == '"' || c == '\\' || c < ' ')
            {
                quoted.Append("\\u").Append(((int)c).ToString("x4"));
            }
            else
            {
                quoted.Append(c);
            }
        }
        return quoted.Append('"').ToString();
    }
}

/// <summary>One client with one avatar, looked at by a thread as a game would each frame.</summary>
internal sealed class Driver
{
    private readonly LliaClient m_client;
    private readonly Thread m_viewer;
    private readonly SHA256 m_sha = SHA256.Create();
    private volatile bool m_ended;
    private volatile int m_hashEvery;
    private volatile bool m_times;
    private volatile int m_pauseMs = 2;
    private volatile AvatarSession m_session;
    private volatile VoicePlayer m_voice;
    private Utterance m_stream;
    private long m_shown;

    public Driver(LliaClient client)
    {
        m_client = client;
        m_viewer = new Thread(Look) { IsBackground = true };
        m_viewer.Start();
    }

    public void Do(string[] words)
    {
        switch (words[0])
        {
            case "open": // picture, size, fps, what is wanted
                m_session = m_client.Open(new AvatarSettings
                {
                    UseDefault = words[1] == "default",
                    Picture = words[1] == "default" ? "" : words[1],
                    SizePx = Program.Number(words[2]),
                    Fps = Program.Number(words[3]),
                    WantFrames = words[4].Contains("frames"),
                    WantFaces = words[4].Contains("faces"),
                });
                if (words[4].Contains("voice"))
                {
                    m_session.Voice = m_voice = new VoicePlayer(48000, 80);
                }
                break;
            case "hashes": m_hashEvery = Program.Number(words[1]); break; // 0: none
            case "times": m_times = words[1] == "on"; break;
            case "pause": m_pauseMs = Program.Number(words[1]); break;
            case "speak": // file of float32, rate
                Await(m_session.Speak(Floats(words[1]), Program.Number(words[2])));
                break;
            case "stream": // file of float32, rate, samples a push
                m_stream = m_session.BeginSpeech(Program.Number(words[2]), false);
                Await(m_stream);
                var samples = Floats(words[1]);
                var piece = Program.Number(words[3]);
                for (var i = 0; i < samples.Length; i += piece)
                {
                    m_stream.Push(samples, i, Math.Min(piece, samples.Length - i));
                }
                break;
            case "end": m_stream.End(); break;
            case "stop": m_session.Stop(); break;
            case "close": m_session.Close(); break;
            case "state":
                var wanted = (AvatarState)Enum.Parse(typeof(AvatarState), words[1]);
                var state = m_session.SetStateAsync(wanted, CancellationToken.None);
                state.ContinueWith(done => Program.Tell("answered", "error", done.Exception == null ? "" : done.Exception.InnerException.Message));
                break;
            case "expression":
                m_session.SetExpressionAsync(words[1], new Dictionary<string, float>(), CancellationToken.None).ContinueWith(
                    done => Program.Tell("answered", "error", done.Exception == null ? "" : done.Exception.InnerException.Message));
                break;
            case "figures": Figures(); break;
            default: throw new ArgumentException("no such command");
        }
    }

    public void End()
    {
        m_ended = true;
        m_viewer.Join();
    }

    private static void Await(Utterance utterance)
    {
        Program.Tell("speech", "id", utterance.Id);
        utterance.Completion.ContinueWith(done => Program.Tell("spoken", "id", utterance.Id, "end", done.Result));
    }

    private static float[] Floats(string file)
    {
        var bytes = File.ReadAllBytes(file);
        var floats = new float[bytes.Length / 4];
        Buffer.BlockCopy(bytes, 0, floats, 0, bytes.Length);
        return floats;
    }

    private void Look()
    {
        while (!m_ended)
        {
            var session = m_session;
            if (session != null)
            {
                Show(session);
            }
            Thread.Sleep(m_pauseMs);
        }
    }

    private void Show(AvatarSession session)
    {
        var frame = session.Frames.Take(double.PositiveInfinity);
        if (frame != null)
        {
            m_shown++;
            if (m_hashEvery > 0 && m_shown % m_hashEvery == 0)
            {
                var hash = BitConverter.ToString(m_sha.ComputeHash(frame.Pixels, 0, frame.PixelBytes)).Replace("-", "");
                Program.Tell(
                    "frame", "pts", frame.PtsSamples, "epoch", frame.Epoch, "width", frame.Width, "height", frame.Height,
                    "utterance", frame.UtteranceId, "state", frame.State, "sha", hash);
            }
            if (m_times)
            {
                var ageMs = (LliaClient.MonotonicNs + m_client.ClockOffsetNs - frame.PublishedNs) / 1e6;
                var transportMs = (frame.ArrivedNs + m_client.ClockOffsetNs - frame.PublishedNs) / 1e6;
                Program.Tell("time", "pts", frame.PtsSamples, "age_ms", ageMs, "transport_ms", transportMs);
            }
        }
        var face = session.Faces.Take(double.PositiveInfinity);
        if (face != null && m_times)
        {
            Program.Tell("face", "pts", face.PtsSamples, "jawOpen", face.Shapes.Get("jawOpen", -1), "shapes", face.Shapes.Count,
                "yaw", face.HeadDeg.Get("yaw", -99), "sil", face.Visemes.Get("sil", -1));
        }
        AvatarEvent happened;
        while (session.TryTakeEvent(double.PositiveInfinity, out happened))
        {
            Program.Tell("event", "event", happened.Kind, "utterance", happened.UtteranceId ?? "", "state", happened.State,
                "end", happened.End, "code", happened.Code ?? "", "text", happened.Text ?? "", "avatar", session.AvatarId);
        }
    }

    private void Figures()
    {
        var session = m_session;
        var status = m_client.Status;
        Program.Tell(
            "figures", "state", status.State, "problem", status.Problem, "daemon", status.Daemon, "round_trip_ms", status.RoundTripMs,
            "connections", status.Connections, "malformed", status.Malformed, "malformed_text", status.MalformedText,
            "phase", session == null ? "" : session.Phase.ToString(), "avatar_problem", session == null ? "" : session.Problem,
            "received", session == null ? 0 : session.Frames.Received, "passed_over", session == null ? 0 : session.Frames.PassedOver,
            "shown", Interlocked.Read(ref m_shown), "fps", session == null ? 0 : session.Figures.Fps,
            "waiting_s", session == null ? 0 : session.WaitingToSendS, "echo_end", m_voice == null ? -1 : m_voice.Echo.End,
            "offset_ns", m_client.ClockOffsetNs, "collections", GC.CollectionCount(0));
    }
}
