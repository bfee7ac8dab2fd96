// What Unity does around the components, in the tests' hands: frames, time, sound, destruction. No part of Unity's API.
using System;
using System.Collections.Generic;
using System.Linq;
using System.Reflection;
using System.Threading;
using UnityEngine;

namespace Fakes
{
    public static class Engine
    {
        public const int BlockSamples = 1024;

        public static readonly List<GameObject> Objects = new List<GameObject>();
        public static readonly List<string> Log = new List<string>();
        public static readonly List<string> Gui = new List<string>();
        public static double NowS;
        public static int Textures;

        private static readonly List<UnityEngine.Object> s_doomed = new List<UnityEngine.Object>();
        private static readonly HashSet<Component> s_awake = new HashSet<Component>();
        private static readonly HashSet<Component> s_started = new HashSet<Component>();
        private static readonly HashSet<string> s_pressed = new HashSet<string>();
        private static readonly Queue<KeyValuePair<SendOrPostCallback, object>> s_posted = new Queue<KeyValuePair<SendOrPostCallback, object>>();
        private static Thread s_main;

        /// <summary>A new, empty scene; the calling thread is the main thread.</summary>
        public static void Begin()
        {
            s_main = Thread.CurrentThread;
            SynchronizationContext.SetSynchronizationContext(new MainThread());
            Log.Clear();
            Gui.Clear();
            s_posted.Clear();
            AudioListener.pause = false;
            AudioSettings.outputSampleRate = 48000;
            Textures = 0;
        }

        /// <summary>The scene is unloaded.</summary>
        public static void End()
        {
            foreach (var made in Objects.ToArray())
            {
                DestroyNow(made);
            }
            s_doomed.ToList().ForEach(DestroyNow);
            s_doomed.Clear();
            Objects.Clear();
            s_main = null;
            s_awake.Clear();
            s_started.Clear();
            SynchronizationContext.SetSynchronizationContext(null);
        }

        /// <summary>One frame of the game.</summary>
        public static void Step(double seconds)
        {
            NowS += seconds;
            RunPosted();
            var living = Living();
            foreach (var one in living.Where(one => s_started.Add(one)))
            {
                Send(one, "Start");
            }
            Living().ForEach(one => Send(one, "Update"));
            Living().ForEach(one => Send(one, "LateUpdate"));
            Gui.Clear();
            Living().ForEach(one => Send(one, "OnGUI"));
            s_pressed.Clear();
            foreach (var doomed in s_doomed.ToArray())
            {
                DestroyNow(doomed);
            }
            s_doomed.Clear();
        }

        /// <summary>The button with this text is pressed in the next frame.</summary>
        public static void PressNext(string button)
        {
            s_pressed.Add(button);
        }

        /// <summary>One block of sound on the audio thread; returns the mix, two channels.</summary>
        public static float[] RenderAudio()
        {
            var mix = new float[BlockSamples * 2];
            foreach (var source in Objects.SelectMany(made => made.Components).OfType<AudioSource>().ToArray())
            {
                if (!source.isPlaying || !source.isActiveAndEnabled || (AudioListener.pause && !source.ignoreListenerPause))
                {
                    continue;
                }
                var block = Play(source);
                var audio = new Thread(() => Filter(source, block));
                audio.Start();
                audio.Join();
                for (var i = 0; i < mix.Length; i++)
                {
                    mix[i] += block[i];
                }
            }
            return mix;
        }

        public static T Find<T>() where T : Component
        {
            return Objects.Where(made => !made.IsDestroyed).SelectMany(made => made.Components).OfType<T>().FirstOrDefault();
        }

        /// <summary>What domain reload and play mode do to statics: call the methods that are marked for it.</summary>
        public static void InitializeOnLoad(Assembly assembly)
        {
            foreach (var type in assembly.GetTypes())
            {
                foreach (var method in type.GetMethods(BindingFlags.Static | BindingFlags.NonPublic | BindingFlags.Public))
                {
                    if (method.GetCustomAttributes(typeof(RuntimeInitializeOnLoadMethodAttribute), false).Length > 0)
                    {
                        method.Invoke(null, null);
                    }
                }
            }
        }

        internal static void OnlyMainThread()
        {
            if (s_main != null && Thread.CurrentThread != s_main)
            {
                throw new InvalidOperationException("Unity's API was called from another thread than the main one");
            }
        }

        internal static bool Press(string button)
        {
            Gui.Add("[" + button + "]");
            return s_pressed.Contains(button);
        }

        internal static void DestroyLater(UnityEngine.Object doomed)
        {
            s_doomed.Add(doomed);
        }

        internal static void DestroyNow(UnityEngine.Object doomed)
        {
            if (ReferenceEquals(doomed, null) || doomed.IsDestroyed)
            {
                return;
            }
            var made = doomed as GameObject;
            if (made != null)
            {
                made.Components.Reverse<Component>().ToList().ForEach(DestroyNow);
                Objects.Remove(made);
            }
            var component = doomed as Component;
            if (component != null)
            {
                if (s_awake.Remove(component))
                {
                    Send(component, "OnDisable");
                }
                Send(component, "OnDestroy");
                component.gameObject.Components.Remove(component);
            }
            Textures -= doomed is Texture2D ? 1 : 0;
            doomed.IsDestroyed = true;
        }

        internal static void RefreshAll()
        {
            foreach (var component in Objects.SelectMany(made => made.Components).OrderBy(Order).ToArray())
            {
                Refresh(component);
            }
        }

        /// <summary>Calls OnEnable and OnDisable when they are due.</summary>
        internal static void Refresh(Component component)
        {
            var behaviour = component as Behaviour;
            if (behaviour == null || component.IsDestroyed)
            {
                return;
            }
            if (behaviour.isActiveAndEnabled && s_awake.Add(component))
            {
                Send(component, "OnEnable");
            }
            else if (!behaviour.isActiveAndEnabled && s_awake.Remove(component))
            {
                Send(component, "OnDisable");
            }
        }

        private static List<Component> Living()
        {
            return Objects.ToArray().SelectMany(made => made.Components).Where(s_awake.Contains).OrderBy(Order).ToList();
        }

        private static int Order(Component component)
        {
            var order = (DefaultExecutionOrder)Attribute.GetCustomAttribute(component.GetType(), typeof(DefaultExecutionOrder));
            return order == null ? 0 : order.Order;
        }

        private static void Send(Component component, string message)
        {
            Call(component, message, new object[0]);
        }

        private static void Call(Component component, string message, object[] arguments)
        {
            var method = component.GetType().GetMethod(message, BindingFlags.Instance | BindingFlags.NonPublic | BindingFlags.Public);
            if (method == null)
            {
                return;
            }
            try
            {
                method.Invoke(component, arguments);
            }
            catch (TargetInvocationException error)
            {
                throw new Exception(component.GetType().Name + "." + message + ": " + error.InnerException, error.InnerException);
            }
        }

        private static float[] Play(AudioSource source)
        {
            var block = new float[BlockSamples * 2];
            var clip = source.clip;
            for (var i = 0; i < BlockSamples; i++)
            {
                var value = clip.Data[source.Place % clip.samples * clip.channels] * source.volume;
                source.Place++;
                block[2 * i] = block[2 * i + 1] = value;
            }
            return block;
        }

        private static void Filter(AudioSource source, float[] block)
        {
            foreach (var component in source.gameObject.Components.ToArray())
            {
                Call(component, "OnAudioFilterRead", new object[] { block, 2 });
            }
        }

        private static void RunPosted()
        {
            while (true)
            {
                KeyValuePair<SendOrPostCallback, object> next;
                lock (s_posted)
                {
                    if (s_posted.Count == 0)
                    {
                        return;
                    }
                    next = s_posted.Dequeue();
                }
                next.Key(next.Value);
            }
        }

        /// <summary>As Unity's: what is awaited on the main thread goes on there, in a later frame.</summary>
        private sealed class MainThread : SynchronizationContext
        {
            public override void Post(SendOrPostCallback call, object state)
            {
                lock (s_posted)
                {
                    s_posted.Enqueue(new KeyValuePair<SendOrPostCallback, object>(call, state));
                }
            }
        }
    }
}
